//! A list that mostly has one item.

/// Items in order, of which the first one takes no memory of its own: nearly every request presents one credential.
#[derive(Debug)]
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    pub(super) fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    pub(super) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => self.rest.push(item),
        }
    }

    /// Takes the last one away.
    pub(super) fn pop(&mut self) -> Option<T> {
        self.rest.pop().or_else(|| self.first.take())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()).saturating_add(self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        let mut few = Few::new();
        for count in 0..4 {
            assert_eq!(few.len(), count);
            assert!(few.iter().copied().eq(0..count));
            few.push(count);
        }
        for item in (0..4).rev() {
            assert_eq!(few.pop(), Some(item));
        }
        assert_eq!((few.pop(), few.len()), (None, 0));
        few.push(7);
        assert_eq!(few.iter().next(), Some(&7));
    }
}
