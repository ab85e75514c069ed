//! Bytes of names, packed: one list of cells for each length rounded up to four bytes.
//!
//! A name costs its bytes rounded up, and nothing else; a freed cell serves the next name of its class.

const CELLS_SHIFT: u32 = 8;
const CELLS_PER_PAGE: usize = 1 << CELLS_SHIFT;
const CLASSES: usize = 64;
const GRAIN: usize = 4;

#[derive(Debug, Default)]
struct Class {
    pages: Vec<Box<[u8]>>,
    free: Vec<u32>,
    fresh: u32,
}

#[derive(Debug)]
pub(crate) struct Names {
    classes: Box<[Class]>,
}

impl Default for Names {
    fn default() -> Self {
        Self { classes: (0..CLASSES).map(|_| Class::default()).collect() }
    }
}

fn class_of(len: usize) -> usize {
    len.div_ceil(GRAIN) - 1
}

fn place(cell: u32, class: usize) -> (usize, usize) {
    ((cell >> CELLS_SHIFT) as usize, (cell as usize & (CELLS_PER_PAGE - 1)) * (class + 1) * GRAIN)
}

impl Names {
    /// Stores 1 to 255 bytes and returns their cell; the caller keeps the length.
    pub(crate) fn insert(&mut self, name: &[u8]) -> u32 {
        let number = class_of(name.len());
        let class = &mut self.classes[number];
        let cell = class.free.pop().unwrap_or_else(|| {
            let cell = class.fresh;
            if (cell >> CELLS_SHIFT) as usize == class.pages.len() {
                class.pages.push(vec![0; (number + 1) * GRAIN * CELLS_PER_PAGE].into());
            }
            class.fresh += 1;
            cell
        });
        let (page, at) = place(cell, number);
        class.pages[page][at..at + name.len()].copy_from_slice(name);
        cell
    }

    pub(crate) fn get(&self, cell: u32, len: u8) -> &[u8] {
        let number = class_of(usize::from(len));
        let (page, at) = place(cell, number);
        &self.classes[number].pages[page][at..at + usize::from(len)]
    }

    pub(crate) fn remove(&mut self, cell: u32, len: u8) {
        self.classes[class_of(usize::from(len))].free.push(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_length_come_back() {
        let mut names = Names::default();
        let make = |n: usize| vec![n as u8; n % 255 + 1];
        let cells: Vec<u32> = (0..3000).map(|n| names.insert(&make(n))).collect();
        for (n, cell) in cells.iter().enumerate() {
            assert_eq!(names.get(*cell, make(n).len() as u8), make(n));
        }
        names.remove(cells[16], 17);
        assert_eq!(names.insert(b"seventeen bytes!!"), cells[16]);
    }
}
