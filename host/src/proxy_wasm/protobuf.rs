//! The little of protobuf's wire format that foreign functions speak.

use super::abi::Status;

/// The length-delimited fields of a message, by number, the last one of each number; other wire
/// types are passed over, as a parser that does not know the fields would.
///
/// # Errors
///
/// [`Status::BadArgument`] if the bytes are no message.
pub(super) fn fields<const N: usize>(mut message: &[u8]) -> Result<[&[u8]; N], Status> {
    let mut found = [&[][..]; N];
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        let number = usize::try_from(tag >> 3).map_err(|_| Status::BadArgument)?;
        let skip = match tag & 7 {
            0 => {
                varint(&mut message)?;
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut message)?).map_err(|_| Status::BadArgument)?,
            _ => return Err(Status::BadArgument),
        };
        let (value, rest) = message.split_at_checked(skip).ok_or(Status::BadArgument)?;
        message = rest;
        if number == 0 {
            return Err(Status::BadArgument);
        }
        if tag & 7 == 2
            && let Some(slot) = found.get_mut(number - 1)
        {
            *slot = value;
        }
    }
    Ok(found)
}

/// Appends a length-delimited field, `number` below 16; nothing if the value is empty.
pub(super) fn push(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    if value.is_empty() {
        return;
    }
    message.push(number << 3 | 2);
    let mut length = value.len();
    while length > 0x7f {
        message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or_default());
    message.extend_from_slice(value);
}

fn varint(message: &mut &[u8]) -> Result<u64, Status> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first().ok_or(Status::BadArgument)?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Status::BadArgument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_found_again() {
        let mut message = Vec::new();
        let long = vec![7; 300];
        push(&mut message, 1, b"sha256");
        push(&mut message, 3, &long);
        let [one, two, three] = fields(&message).unwrap();
        assert_eq!((one, two, three), (&b"sha256"[..], &b""[..], long.as_slice()));
        for end in [1, 5, 9, 10, 200] {
            assert_eq!(fields::<3>(&message[..end]), Err(Status::BadArgument), "cut at {end}");
        }
        assert!(fields::<3>(&[0xff; 20]).is_err());
    }
}
