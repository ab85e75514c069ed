//! Asking over a connection.

use super::{
    ANSWER_BYTES_MAX, AdminApi, AdminError, Change, Changed, ChunkPage, ChunkQuery, ClassStatus,
    ClusterStatus, EditPlan, ExplainTarget, Explanation, FileInfoReply, FileTarget, QUESTION_BYTES_MAX,
    Removal, RemovalTarget, TaskStatus, TrashPage, TrashQuery, plain,
};
use crate::channel;
use crate::generated::admin_client::AdminClient as Grpc;
use codec::proto;
use env::{BoxFuture, Env, Stream};
use std::future::Future;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Response, Status};

/// Operators' questions to the master at one address.
pub struct AdminClient {
    address: String,
    timeout: Duration,
    carrier: Carrier,
}

enum Carrier {
    Grpc(Grpc<Channel>),
    Plain(plain::Client),
}

impl AdminClient {
    /// Connects; this and every later question waits at most `timeout`.
    pub async fn connect(env: &Env, address: &str, timeout: Duration) -> Result<Self, AdminError> {
        let unreachable = |reason: String| AdminError::Unreachable { address: address.to_owned(), reason };
        let connecting = async {
            match env.net.connect(address).await.map_err(|e| unreachable(e.to_string()))? {
                Stream::Simulated(stream) => Ok(Carrier::Plain(plain::Client::new(stream))),
                Stream::Tcp(stream) => {
                    let channel = channel::over(stream, env.net.clone(), address, timeout)
                        .await
                        .map_err(|e| unreachable(channel::chain(&e)))?;
                    let client = Grpc::new(channel)
                        .max_decoding_message_size(ANSWER_BYTES_MAX)
                        .max_encoding_message_size(QUESTION_BYTES_MAX);
                    Ok(Carrier::Grpc(client))
                }
            }
        };
        let carrier = tokio::time::timeout(timeout, connecting).await.unwrap_or_else(|_| {
            Err(unreachable(format!("no connection within {} s", timeout.as_secs_f32())))
        })?;
        Ok(Self { address: address.to_owned(), timeout, carrier })
    }

    /// The same, with another limit for questions.
    pub fn answers_within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn bad(&self, reason: impl Into<String>) -> AdminError {
        AdminError::BadAnswer { address: self.address.clone(), reason: reason.into() }
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, AdminError>>) -> Result<T, AdminError> {
        tokio::time::timeout(self.timeout, answer).await.unwrap_or_else(|_| {
            Err(AdminError::TimedOut { address: self.address.clone(), after: self.timeout })
        })
    }

    fn grpc<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, AdminError> {
        match answer {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) if status.code() == tonic::Code::Unavailable => Err(AdminError::Unreachable {
                address: self.address.clone(),
                reason: channel::chain(&status),
            }),
            Err(status) => Err(self.bad(channel::chain(&status))),
        }
    }

    async fn ask_status(&self) -> Result<ClusterStatus, AdminError> {
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().status(proto::StatusQuery {}).await)?,
            Carrier::Plain(client) => client.status().await.map_err(|e| self.bad(e.to_string()))?,
        };
        let cluster = refused(answer.status)?.then_some(answer.cluster).flatten();
        let cluster = cluster.ok_or_else(|| self.bad("it is empty"))?;
        cluster.try_into().map_err(|e: codec::Malformed| self.bad(e.to_string()))
    }

    async fn ask_file_info(&self, target: FileTarget) -> Result<FileInfoReply, AdminError> {
        let query = proto::FileInfoQuery::from(&target);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().file_info(query).await)?,
            Carrier::Plain(client) => client.file_info(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let info = refused(answer.status)?.then_some(answer.info).flatten();
        let info = info.ok_or_else(|| self.bad("it is empty"))?;
        info.try_into().map_err(|e: codec::Malformed| self.bad(e.to_string()))
    }

    async fn ask_classes(&self) -> Result<Vec<ClassStatus>, AdminError> {
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().classes(proto::ClassesQuery {}).await)?,
            Carrier::Plain(client) => client.classes().await.map_err(|e| self.bad(e.to_string()))?,
        };
        refused(answer.status)?;
        codec::admin::classes(answer.classes).map_err(|e| self.bad(e.to_string()))
    }

    async fn ask_tasks(&self) -> Result<Vec<TaskStatus>, AdminError> {
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().tasks(proto::TasksQuery {}).await)?,
            Carrier::Plain(client) => client.tasks().await.map_err(|e| self.bad(e.to_string()))?,
        };
        refused(answer.status)?;
        codec::admin::tasks(answer.tasks).map_err(|e| self.bad(e.to_string()))
    }

    async fn ask_removal(&self, target: RemovalTarget) -> Result<Removal, AdminError> {
        let query = proto::RemovalQuery::from(&target);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().removal(query).await)?,
            Carrier::Plain(client) => client.removal(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let malformed = |e: codec::Malformed| self.bad(e.to_string());
        if let Some(refusal) = answer.refusal {
            return Err(AdminError::NotDone(refusal.try_into().map_err(malformed)?));
        }
        let removal = refused(answer.status)?.then_some(answer.removal).flatten();
        removal.ok_or_else(|| self.bad("it is empty"))?.try_into().map_err(malformed)
    }

    async fn ask_chunks(&self, query: ChunkQuery) -> Result<ChunkPage, AdminError> {
        let query = proto::ChunksQuery::from(&query);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().chunks(query).await)?,
            Carrier::Plain(client) => client.chunks(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let page = refused(answer.status)?.then_some(answer.page).flatten();
        let page = page.ok_or_else(|| self.bad("it is empty"))?;
        page.try_into().map_err(|e: codec::Malformed| self.bad(e.to_string()))
    }

    async fn ask_trash(&self, query: TrashQuery) -> Result<TrashPage, AdminError> {
        let query = proto::TrashQuery::from(&query);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().trash(query).await)?,
            Carrier::Plain(client) => client.trash(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let page = refused(answer.status)?.then_some(answer.page).flatten();
        let page = page.ok_or_else(|| self.bad("it is empty"))?;
        page.try_into().map_err(|e: codec::Malformed| self.bad(e.to_string()))
    }

    async fn ask_explain(&self, target: ExplainTarget) -> Result<Explanation, AdminError> {
        let query = proto::ExplainQuery::from(&target);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().explain(query).await)?,
            Carrier::Plain(client) => client.explain(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let explanation = refused(answer.status)?.then_some(answer.explanation).flatten();
        let explanation = explanation.ok_or_else(|| self.bad("it is empty"))?;
        explanation.try_into().map_err(|e: codec::Malformed| self.bad(e.to_string()))
    }

    async fn ask_plan_edit(&self, change: Change) -> Result<EditPlan, AdminError> {
        let query = proto::ChangeQuery::from(&change);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().plan_edit(query).await)?,
            Carrier::Plain(client) => client.plan_edit(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let malformed = |e: codec::Malformed| self.bad(e.to_string());
        if let Some(refusal) = answer.refusal {
            return Err(AdminError::NotDone(refusal.try_into().map_err(malformed)?));
        }
        let plan = refused(answer.status)?.then_some(answer.plan).flatten();
        plan.ok_or_else(|| self.bad("it is empty"))?.try_into().map_err(malformed)
    }

    async fn ask_change(&self, change: Change) -> Result<Changed, AdminError> {
        let query = proto::ChangeQuery::from(&change);
        let answer = match &self.carrier {
            Carrier::Grpc(client) => self.grpc(client.clone().change(query).await)?,
            Carrier::Plain(client) => client.change(query).await.map_err(|e| self.bad(e.to_string()))?,
        };
        let malformed = |e: codec::Malformed| self.bad(e.to_string());
        if let Some(refusal) = answer.refusal {
            return Err(AdminError::NotDone(refusal.try_into().map_err(malformed)?));
        }
        let changed = refused(answer.status)?.then_some(answer.changed).flatten();
        changed.ok_or_else(|| self.bad("it is empty"))?.try_into().map_err(malformed)
    }
}

/// `true`, or the refusal that a number stands for.
fn refused(code: u32) -> Result<bool, AdminError> {
    if code == 0 {
        return Ok(true);
    }
    let known = u16::try_from(code).ok().and_then(types::Status::from_code);
    Err(AdminError::Refused(known.unwrap_or(types::Status::Io)))
}

impl AdminApi for AdminClient {
    fn status(&self) -> BoxFuture<'_, Result<ClusterStatus, AdminError>> {
        Box::pin(self.within(self.ask_status()))
    }

    fn file_info(&self, target: FileTarget) -> BoxFuture<'_, Result<FileInfoReply, AdminError>> {
        Box::pin(self.within(self.ask_file_info(target)))
    }

    fn classes(&self) -> BoxFuture<'_, Result<Vec<ClassStatus>, AdminError>> {
        Box::pin(self.within(self.ask_classes()))
    }

    fn tasks(&self) -> BoxFuture<'_, Result<Vec<TaskStatus>, AdminError>> {
        Box::pin(self.within(self.ask_tasks()))
    }

    fn removal(&self, target: RemovalTarget) -> BoxFuture<'_, Result<Removal, AdminError>> {
        Box::pin(self.within(self.ask_removal(target)))
    }

    fn chunks(&self, query: ChunkQuery) -> BoxFuture<'_, Result<ChunkPage, AdminError>> {
        Box::pin(self.within(self.ask_chunks(query)))
    }

    fn trash(&self, query: TrashQuery) -> BoxFuture<'_, Result<TrashPage, AdminError>> {
        Box::pin(self.within(self.ask_trash(query)))
    }

    fn explain(&self, target: ExplainTarget) -> BoxFuture<'_, Result<Explanation, AdminError>> {
        Box::pin(self.within(self.ask_explain(target)))
    }

    fn plan_edit(&self, change: Change) -> BoxFuture<'_, Result<EditPlan, AdminError>> {
        Box::pin(self.within(self.ask_plan_edit(change)))
    }

    fn change(&self, change: Change) -> BoxFuture<'_, Result<Changed, AdminError>> {
        Box::pin(self.within(self.ask_change(change)))
    }
}
