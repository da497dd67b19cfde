//! Sets of small numbers: which of a table's triggers and keys a row sets off.

/// A set that allocates only for numbers from 64 on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    first: u64,
    more: Vec<u64>,
}

impl Numbers {
    /// Adds a number.
    pub(crate) fn insert(&mut self, number: usize) {
        match number / 64 {
            0 => self.first |= 1 << number,
            word => {
                if self.more.len() < word {
                    self.more.resize(word, 0);
                }
                self.more[word - 1] |= 1 << (number % 64);
            }
        }
    }

    /// Whether it has a number.
    pub(crate) fn contains(&self, number: usize) -> bool {
        let word = match number / 64 {
            0 => self.first,
            word => self.more.get(word - 1).copied().unwrap_or(0),
        };
        word >> (number % 64) & 1 == 1
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.first == 0 && self.more.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;

    #[test]
    fn keeps_numbers_of_any_size() {
        let mut set = Numbers::default();
        assert!(set.is_empty());
        for number in [0, 63, 64, 200] {
            set.insert(number);
        }
        let found: Vec<usize> = (0..300).filter(|number| set.contains(*number)).collect();
        assert_eq!(found, [0, 63, 64, 200]);
        assert!(!set.is_empty());
    }
}
