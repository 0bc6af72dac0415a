//! What may be called how: the forms of names that the API server takes.

/// A form: whether a name has it, what the API server says of others, and what to do.
pub(super) struct Form {
    pub(super) fits: fn(&str) -> bool,
    pub(super) says: &'static str,
    pub(super) how: &'static str,
}

pub(super) const LABEL: Form = Form {
    fits: |name| name.len() <= 63 && is_part(name),
    says: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-'",
    how: "name it with a to z, 0 to 9 and - within, 63 at most",
};

pub(super) const SUBDOMAIN: Form = Form {
    fits: is_subdomain,
    says: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'",
    how: "name it with a to z, 0 to 9, - and . alone",
};

pub(super) const LABEL_VALUE: Form = Form {
    fits: |value| value.len() <= 63 && is_word(value),
    says: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', 63 at most",
    how: "write it with letters, numbers, -, _ and . alone, 63 at most, beginning and ending with one of the first two",
};

pub(super) const PORT_NAME: Form = Form {
    fits: |name| {
        let letter = |byte: u8| byte.is_ascii_lowercase();
        name.len() <= 15 && is_part(name) && !name.contains("--") && name.bytes().any(letter)
    },
    says: "must be no more than 15 characters, of a-z, 0-9 and single hyphens, with a letter among them",
    how: "name it as http or web-8080",
};

pub(super) const SYSCTL: Form = Form {
    fits: |name| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        let ends = |part: &str| !part.starts_with(['-', '_']) && !part.ends_with(['-', '_']);
        let part = |part: &str| !part.is_empty() && part.bytes().all(inside) && ends(part);
        name.len() <= 253 && name.split(['.', '/']).all(part)
    },
    says: "must have at most 253 characters and match regex \
           ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
    how: "write it as net.ipv4.tcp_syncookies, in small letters",
};

/// A part of a domain's name.
fn is_part(part: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !part.is_empty() && part.bytes().all(inside) && !part.starts_with('-') && !part.ends_with('-')
}

/// Names of parts of a subdomain, with this many letters at most.
pub(super) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_part)
}

/// What labels are set to.
fn is_word(value: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let end = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    value.bytes().all(inside) && end(value.bytes().next()) && end(value.bytes().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_form() {
        for (form, right, wrong) in [
            (&LABEL, ["a", "my-vol", "0a"], ["Foo", "my_vol", "my.vol"]),
            (&SUBDOMAIN, ["a.b", "my-class", "1"], ["Foo", "a..b", "-a"]),
            (&LABEL_VALUE, ["v1.2_b", "A-b", "7"], ["b c", "-a", "a/b"]),
            (&PORT_NAME, ["http", "web-8080", "8080a"], ["HTTP", "8080", "a-name-of-16-let"]),
            (
                &SYSCTL,
                ["net.ipv4.a_b", "net/ipv4/a", "kernel.shm-x"],
                ["net.ipv4.Foo", "net.ipv4.a b", "net..a"],
            ),
        ] {
            for name in right {
                assert!((form.fits)(name), "{name}: {}", form.says);
            }
            for name in wrong {
                assert!(!(form.fits)(name), "{name}: {}", form.says);
            }
        }
    }
}
