//! Server-sent events, read piece by piece.
//!
//! Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

/// What a line of the stream completes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The data of an event.
    Data(String),
    /// Something else, which shows that the other side lives.
    Comment,
}

/// The event, or one of its lines, is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {0} bytes")]
pub(super) struct TooLong(usize);

/// Takes bytes, gives events.
#[derive(Debug)]
pub(super) struct Parser {
    limit: usize,
    line: Vec<u8>,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed right behind it ends no line of its own.
    after_return: bool,
}

impl Parser {
    /// For events of at most `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: None,
            after_return: false,
        }
    }

    /// What `bytes` complete.
    ///
    /// Errors: [`TooLong`], after which the stream makes no sense any more.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Item>, TooLong> {
        let mut items = Vec::new();
        for byte in bytes {
            let follows_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => items.extend(self.end_line()),
                byte => {
                    let data = self.data.as_ref().map_or(0, String::len);
                    if self.line.len() + data >= self.limit {
                        return Err(TooLong(self.limit));
                    }
                    self.line.push(*byte);
                }
            }
        }
        Ok(items)
    }

    fn end_line(&mut self) -> Option<Item> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            return self.data.take().map(Item::Data);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => Some(Item::Comment),
            "data" => {
                let data = self.data.take().map(|data| data + "\n");
                self.data = Some(data.unwrap_or_default() + value);
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the specification, whole and byte by byte.
    #[test]
    fn events_are_those_of_the_specification() {
        let data = |text: &str| Item::Data(text.to_owned());
        for (stream, expected) in [
            (
                "data: YHOO\ndata: +2\ndata: 10\n\n",
                vec![data("YHOO\n+2\n10")],
            ),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                vec![
                    Item::Comment,
                    data("first event"),
                    data("second event"),
                    data(" third event"),
                ],
            ),
            ("data\n\ndata\ndata\n\ndata:", vec![data(""), data("\n")]),
            (
                "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
                vec![data("a"), data("b"), data("c")],
            ),
        ] {
            assert_eq!(Parser::new(64).push(stream.as_bytes()).unwrap(), expected);
            let mut parser = Parser::new(64);
            let items = stream
                .bytes()
                .flat_map(|byte| parser.push(&[byte]).unwrap());
            assert_eq!(items.collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut parser = Parser::new(8);
        assert_eq!(parser.push(b"data: 12345678"), Err(TooLong(8)));
        let mut parser = Parser::new(16);
        parser.push(b"data: 1234567\ndata: 12").unwrap();
        assert_eq!(parser.push(b"345"), Err(TooLong(16)));
    }
}
