//! An image that comes with an ID block: reports say what is in it, and an image that it is not
//! for does not start.

use boot_tests::{Igvm, Launch, Outcome, Run};
use p384::ecdsa::signature::Signer;
use p384::ecdsa::{Signature, SigningKey};
use protocols::snp::{Curve, EcdsaPublicKey, IdBlock};
use snp_model::launch::id_block::key_digest;
use zerocopy::{FromZeros, IntoBytes};

/// `IGVM_VHT_SNP_ID_BLOCK`.
const ID_BLOCK: u32 = 0x30b;
/// The policy of the images.
const POLICY: u64 = 0x3_0000;

/// A number of the ABI: little-endian, 72 bytes.
fn number(big_endian: &[u8]) -> [u8; 72] {
    let mut number = [0; 72];
    for (to, from) in number.iter_mut().zip(big_endian.iter().rev()) {
        *to = *from;
    }
    number
}

/// The image with an ID block for this digest, signed with a test key; and the key's digest.
fn image(launch_digest: [u8; 48]) -> (Igvm, [u8; 48]) {
    let key = SigningKey::from_slice(&[0x1d; 48]).unwrap();
    let block = IdBlock {
        launch_digest,
        family_id: *b"a family of SVSM",
        image_id: *b"an image of SVSM",
        version: 1,
        guest_svn: 42,
        policy: POLICY,
    };
    let signature: Signature = key.sign(block.as_bytes());
    let (r, s) = signature.split_bytes();
    let point = key.verifying_key().to_sec1_point(false);
    let mut public = EcdsaPublicKey::new_zeroed();
    public.curve = Curve::P384;
    public.x = number(point.x().unwrap());
    public.y = number(point.y().unwrap());

    // IGVM_VHS_SNP_ID_BLOCK: the mask of the platform, no author's key, the block without its
    // policy, two algorithms, signature and key; then zeros in place of the author's.
    let mut header = 1u32.to_le_bytes().to_vec();
    header.extend([0; 4]);
    header.extend(&block.as_bytes()[..0x58]);
    header.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    header.extend(number(&r).into_iter().chain(number(&s)));
    header.extend([2, 0, 0, 0, 0, 0, 0, 0]);
    header.extend(public.x.into_iter().chain(public.y));
    header.extend([0; 2 * 144 + 8]);
    let mut image = Igvm::rampart();
    image.append_header(ID_BLOCK, &header);
    (image, key_digest(&public))
}

fn run(image: &Igvm) -> Run {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), image.bytes()).expect("the image can be written");
    Launch::rampart()
        .option("--image", file.path())
        .guest_command(
            "R=/sys/kernel/config/tsm/report/a; mkdir $R; yes | head -c 64 > $R/inblob; \
             echo 2 > $R/privlevel; echo id-block report: $(od -An -v -tx1 $R/outblob)",
        )
        .timeout(100)
        .run()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The launch digest that the machine prints.
fn digest_of(run: &Run) -> [u8; 48] {
    let line = run.line("snp-machine: launch digest ").expect("a digest");
    let (_, text) = line.split_once("digest ").expect("a digest");
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("a byte"))
}

#[test]
fn reports_show_the_id_block_of_the_image() {
    let (foreign, _) = image([0x55; 48]);
    let refused = run(&foreign);
    refused
        .assert_outcome(Outcome::ImageRefused)
        .assert_line("image refused: its ID block is not taken: Measurement");

    // The ID block is no part of the digest, so the image without it tells.
    let plain = run(&Igvm::rampart());
    let digest = digest_of(&plain);
    // What the builder says of the file is what the secure processor measured.
    let measured = igvm_builder::measure::measure("rampart.igvm", Igvm::rampart().bytes());
    assert_eq!(digits(&digest), measured.expect("a launch").launch_digest);
    let (ours, key_digest) = image(digest);
    let taken = run(&ours);
    taken.assert_outcome(Outcome::PoweredOff);
    assert_eq!(digest_of(&taken), digest);
    let line = taken.line("id-block report: ").expect("a report");
    let (_, report) = line.split_once("id-block report: ").expect("a report");
    let report = report.replace(' ', "");
    let field = |offset: usize, length: usize| &report[2 * offset..2 * (offset + length)];
    assert_eq!(field(4, 4), "2a000000");
    assert_eq!(field(0x10, 16), digits(b"a family of SVSM"));
    assert_eq!(field(0x20, 16), digits(b"an image of SVSM"));
    assert_eq!(field(0xe0, 48), digits(&key_digest));
    assert_eq!(field(0x110, 48), digits(&[0; 48]));
}
