//! Reading records, also of a log that another process appends to.

use crate::format::{BATCH_HEADER_BYTES, Binding, DATA_OFFSET};
use crate::segment::{
    Found, Window, batch_at, first_header, header_at, parse_segment_name, read_stamp, segment_name,
};
use crate::shared::Span;
use crate::{Entry, OpenError, ReplayError};
use env::{Dir, OpenMode};
use std::io;
use std::sync::Arc;
use types::{ClusterId, LogIndex, Term};

/// A log opened to read only, such as by the process that makes checkpoints.
pub struct Reader {
    dir: Arc<dyn Dir>,
    cluster: ClusterId,
}

impl Reader {
    /// Looks at the log in `dir`, which may be appended to at the same time.
    pub fn open(dir: Arc<dyn Dir>, cluster: ClusterId) -> Result<Self, ReplayError> {
        let reader = Self { dir, cluster };
        reader.spans()?;
        Ok(reader)
    }

    /// Gives the records `from` to `to`, both included, in order. `to` must have been appended before the
    /// call, and `from` must be kept until it ends: segments below it may be recycled meanwhile.
    pub fn replay<E: From<ReplayError>>(
        &self,
        from: LogIndex,
        to: LogIndex,
        visit: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let spans = self.spans()?;
        replay_segments(&*self.dir, self.cluster, &spans, from, to, visit)
    }

    /// Segments that hold records, oldest first.
    fn spans(&self) -> Result<Vec<Span>, ReplayError> {
        let mut spans = Vec::new();
        for entry in self.dir.list("")? {
            let Some(segment) = parse_segment_name(&entry.name) else { continue };
            let file = match self.dir.open(&entry.name, OpenMode::Read) {
                Ok(file) => file,
                // Recycled since the folder was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let stamp = read_stamp(&entry.name, &*file, segment, self.cluster).map_err(not_ours)?;
            let Some(stamp) = stamp else {
                return Err(ReplayError::Damaged { file: entry.name, offset: 0, index: LogIndex(0) });
            };
            if let Some(header) = first_header(&*file, &Binding::new(segment, stamp.salt))? {
                spans.push(Span { segment, first: header.first });
            }
        }
        spans.sort_by_key(|span| span.segment);
        Ok(spans)
    }
}

fn not_ours(error: OpenError) -> ReplayError {
    match error {
        OpenError::Foreign { file, what } => ReplayError::Foreign { file, what },
        OpenError::Io(source) => ReplayError::Io(source),
        other => ReplayError::Io(io::Error::other(other.to_string())),
    }
}

/// Gives the records `from` to `to` of these segments.
pub(crate) fn replay_segments<E: From<ReplayError>>(
    dir: &dyn Dir,
    cluster: ClusterId,
    spans: &[Span],
    from: LogIndex,
    to: LogIndex,
    mut visit: impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if from > to {
        return Ok(());
    }
    let first = spans.first().map_or(LogIndex(to.0.saturating_add(1)), |span| span.first);
    if from < first {
        return Err(ReplayError::Gone { wanted: from, first }.into());
    }
    let mut next = from;
    for (number, span) in spans.iter().enumerate() {
        let end = spans.get(number + 1).map(|following| LogIndex(following.first.0.saturating_sub(1)));
        let last = end.map_or(to, |end| end.min(to));
        if last < next {
            continue;
        }
        replay_segment(dir, cluster, *span, next, last, &mut visit)?;
        next = LogIndex(last.0 + 1);
        if last == to {
            return Ok(());
        }
    }
    Err(ReplayError::NotYet { wanted: next, last: LogIndex(next.0 - 1) }.into())
}

/// Gives the records `from` to `to`, which are in this segment.
fn replay_segment<E: From<ReplayError>>(
    dir: &dyn Dir,
    cluster: ClusterId,
    span: Span,
    from: LogIndex,
    to: LogIndex,
    visit: &mut impl FnMut(Entry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let name = segment_name(span.segment);
    let file = dir.open(&name, OpenMode::Read).map_err(ReplayError::from)?;
    let damaged = |offset, index| ReplayError::Damaged { file: name.clone(), offset, index };
    let Some(stamp) = read_stamp(&name, &*file, span.segment, cluster).map_err(not_ours)? else {
        return Err(damaged(0, span.first).into());
    };
    let binding = Binding::new(span.segment, stamp.salt);
    let mut window = Window::new(&*file).map_err(ReplayError::from)?;
    let mut offset = DATA_OFFSET;
    let mut next = span.first;
    let mut term = Term(0);
    while next <= to {
        // A batch that is not asked for is passed over by its header alone.
        let header = header_at(&mut window, &binding, offset).map_err(ReplayError::from)?;
        if let Some(header) = header.filter(|header| header.first == next && header.next() <= from) {
            next = header.next();
            offset += BATCH_HEADER_BYTES as u64 + u64::from(header.bytes);
            continue;
        }
        match batch_at(&mut window, &binding, offset, next, term).map_err(ReplayError::from)? {
            Found::Batch(batch) => {
                batch.visit(
                    |entry| {
                        if entry.index < from || entry.index > to { Ok(()) } else { visit(entry) }
                    },
                )?;
                (next, term) = (batch.header.next(), batch.term);
                offset += batch.total_bytes();
            }
            Found::TermOrder(_) | Found::Nothing => return Err(damaged(offset, next).into()),
        }
    }
    Ok(())
}
