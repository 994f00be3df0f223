use super::*;

fn complaint(bytes: &[u8]) -> String {
    Pickle::read(bytes).map(|_| ()).expect_err("should be refused")
}

#[test]
fn a_value_is_small() {
    assert_eq!(size_of::<Value>(), 8);
    assert_eq!(size_of::<Object>(), 16);
}

#[test]
fn calls_are_refused_by_name() {
    let message = complaint(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
    assert!(message.contains("`posix.system`"), "{message}");
    let message = complaint(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
    assert!(message.contains("`builtins.eval`"), "{message}");
    let message = complaint(b"\x80\x02c__main__\nNet\n)\x81.");
    assert!(message.contains("`__main__.Net`"), "{message}");
}

#[test]
fn nesting_and_sharing_cost_nothing() {
    // Lists nested a million deep, and then a dictionary that contains itself.
    let mut deep = b"\x80\x02".to_vec();
    deep.resize(900_000, b']');
    deep.resize(1_799_000, b'a');
    deep.push(b'.');
    drop(Pickle::read(&deep).unwrap());
    let message = complaint(&[b"\x80\x02".as_slice(), &vec![b']'; 1 << 21]].concat());
    assert!(message.contains("objects"), "{message}");
    Pickle::read(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
    // One list of pairs, from which many dictionaries are made.
    let pairs = b"U\x01aN\x86".repeat(1000);
    let head = b"\x80\x02ccollections\nOrderedDict\nq\x00](";
    let many = b"0h\x00h\x01\x85R".repeat(1000);
    let message = complaint(&[&head[..], &pairs, b"eq\x01", &many, b"."].concat());
    assert!(message.contains("many dictionaries of one list"), "{message}");
}

#[test]
fn broken_programs_are_refused() {
    let broken: [(&[u8], &str); 12] = [
        (b"", "ends in its middle"),
        (b"\x80\x02", "ends in its middle"),
        (b"\x80\x09.", "protocol 9"),
        (b"\x80\x02X\xff\xff\xff\xffa", "ends in its middle"),
        (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "ends in its middle"),
        (b"\x80\x02.", "more from its stack"),
        (b"\x80\x02K\x01(a.", "more from its stack"),
        (b"\x80\x02h\x07.", "never remembered"),
        (b"\x80\x02Nr\xff\xff\xff\xff.", "more than it has said"),
        (b"\x80\x02t.", "never began"),
        (b"\x80\x02K\x01K\x02a.", "what holds none"),
        (b"\x80\x02}X\x01\x00\x00\x00aK\x01sX\x01\x00\x00\x00aK\x01s.", "`a` occurs twice"),
    ];
    for (bytes, right) in broken {
        let message = complaint(bytes);
        assert!(message.contains(right), "{bytes:?}: {message}");
    }
}

/// Data that stands beside weights, in the opcodes of every protocol, is ignored.
#[test]
fn plain_values_are_passed_over() {
    let values: [&[u8]; 14] = [
        // set([1]) and frozenset, as in protocol 2 and in protocol 4; bytes; a bytearray.
        b"c__builtin__\nset\n]K\x01a\x85R",
        b"\x8f(K\x01K\x02\x90",
        b"(K\x01\x91",
        b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R",
        b"\x96\x02\x00\x00\x00\x00\x00\x00\x00ab",
        b"c__builtin__\ncomplex\nG\x00\x00\x00\x00\x00\x00\x00\x00G\x00\x00\x00\x00\x00\x00\x00\x00\x86R",
        b"ccollections\nCounter\n}U\x01aK\x01s\x85R",
        b"ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RU\x01aK\x01s",
        b"cargparse\nNamespace\n)\x81}U\x01aK\x01sb",
        b"ctorch\nfloat16\n",
        // Old checkpoints of Lightning: a class as a key, and a dictionary of its own class.
        b"}cpytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint\nK\x01s",
        b"cpytorch_lightning.utilities.parsing\nAttributeDict\n)\x81(U\x01aK\x01u",
        // A list and a dictionary by their opcodes of protocol 0; a `str` of Python 2 that is not text.
        b"(K\x01l0(U\x01aK\x01d",
        b"U\x02\xff\xfe",
    ];
    for value in values {
        let whole = [b"\x80\x02}(U\x01x", value, b"U\x01yK\x07u."].concat();
        let (pickle, length) =
            Pickle::read(&whole).unwrap_or_else(|why| panic!("{value:?}: {why}"));
        assert_eq!(length, whole.len());
        let dict = pickle.dict(pickle.root()).unwrap();
        assert_eq!(dict.len(), 2, "{value:?}");
        assert_eq!((pickle.text(dict[1].0), pickle.int(dict[1].1)), (Some("y"), Some(7)));
    }
}
