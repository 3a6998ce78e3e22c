//! Keys that were made once for these tests and are used for nothing else, as
//! hexadecimal text.

/// An RSA key with exponent 65537.
#[derive(Debug)]
pub struct Rsa {
    /// The modulus.
    pub modulus: &'static str,
    /// One of its primes.
    pub prime: &'static str,
}

/// A key on a curve.
#[derive(Debug)]
pub struct Ecc {
    /// `TPM_ECC_CURVE`.
    pub curve: u16,
    /// The private number.
    pub private: &'static str,
    /// The public point's coordinates.
    pub x: &'static str,
    /// The second one.
    pub y: &'static str,
}

/// The bytes of a key's part.
///
/// # Panics
/// If it is no hexadecimal text.
#[must_use]
pub fn bytes(text: &str) -> Vec<u8> {
    let digit = |character: char| character.to_digit(16).expect("a hexadecimal digit") as u8;
    let digits: Vec<u8> = text.chars().map(digit).collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// RSA 1024.
pub const RSA_1024: Rsa = Rsa {
    modulus: concat!(
        "bbe85dbbf6070393ac648b0f09f2a35a6b40c8a37756d5d3d0bae21d9506d8d7",
        "db2ff3f13374ac383eb713fd7b7f8ffb4e84698b19e0a98262e393b30899c108",
        "4af8f65e0ed585422acb3f7a0d965056a1f6504c2de8b7b8ae41b486aee3c0d9",
        "a8eb154fc8be759779ede1214317a8917f67512bfb846d2162ece80701b829b5",
    ),
    prime: concat!(
        "f9dab3fee10702d7c6d4e6de1a8bef1c09ea7bb1b39144a9a671bc0f35b16b6f",
        "d430f5b98be07515008738708a9232fc4ecb44eaf7dbe3ef6c4609c63ae6a71f",
    ),
};

/// RSA 2048.
pub const RSA_2048: Rsa = Rsa {
    modulus: concat!(
        "de9390c08246bbf13b979de8d8e0787516bedf39b262da0f3f5f9d37e0165127",
        "b9cbbc35539b0a802893f8c43e1a0d9ddbd3631cf8ab97251e90dc84e59e3547",
        "95750692e70b4fab6b28f6e07fc1316418b42b860dd0f19272bd4804cc9b68ee",
        "0a2f1a2f1dc7a0aefa8ad6309fc36b91d53c2666304d908621010dcbfd8487e1",
        "723a2ec9b704c542c50f7badc5e2148ee8c111d09c865c9974dd83806dbb9323",
        "7dfd324b4e914a8ed1150f8b9907e1e0ae8cf86ad0ea9ec33cf97ae483eb826e",
        "0623a924e184688fe61c98696937a5579c2d37ed4b0ccdea3f45f8a73cb75a89",
        "9c3b6c8cce4b6a556d46375e1b5f95ff9af99b7797bfd68ad3b3630b442dcf95",
    ),
    prime: concat!(
        "ef397a5764cc74a2f4988563ca788aeea11cd0398727ec44e7abf01b2ac48cdc",
        "5c356d0fd2b8f83654125d0e35114a1bd8aa7b25294dcf92fdc5e0eaa085fb27",
        "ac7758f948a9458353d34e8b39308867d0820748af4af9b458803a040fb7c0b2",
        "ca7ffa0ca4d2b9172ef829ac20dbdb7a4e5896475479807b398757f7d0932489",
    ),
};

/// NIST P-256.
pub const P256: Ecc = Ecc {
    curve: 3,
    private: "89b00bbd291688a3c34b5b64cfe7e6aadd07079d44c75c4889d9c79b7ea8888c",
    x: "3c98fd00bb05f6442b0350910bf7af06854d4ac6777415168260e24ff17156c6",
    y: "c0fff125d00396435f070dc3d7a769fea9e587c0ceaeb78e9a55f7b257b52c60",
};

/// NIST P-384.
pub const P384: Ecc = Ecc {
    curve: 4,
    private: concat!(
        "0d563a19947bfb8ad65777b450fcda4cb29b20df8ca65df0f1c58ae3d34e9862",
        "cd1890e7b39692ecc7810c0bfdbe4775",
    ),
    x: concat!(
        "96158c51a76e820859ab5ee6d2595612db87f40e5028ca1a7a5aab413ac3f695",
        "3bd1d336d1da8d6c20d636079e531253",
    ),
    y: concat!(
        "bd7a05301c4cc5d1dedd65c35a06eede047b523d256d1444002b02ea63b5f40f",
        "13c3206df5a6b12a6c8d12e6c20ac180",
    ),
};

/// NIST P-521.
pub const P521: Ecc = Ecc {
    curve: 5,
    private: concat!(
        "00563b863423cfa41aee5b34aa8e4c665b10332625fb15730baa7cd8a2647dca",
        "9b5f6df2d79bb6946bbd31b50a80bb3eb9c42239e2095c7834b34022fb4e56a6",
        "f961",
    ),
    x: concat!(
        "00bf9d9f78937c49f561eaf6204f9df2c6a7d77da772f7e3576be67936e69af7",
        "7382a44f9a85a72fbf78100d81e6a84736ec93ac55e6609a9f443e4f0f65aac9",
        "0005",
    ),
    y: concat!(
        "017c27e44d2f1659c642840f1a3f22fbde3d294b48f1ac1387de303bde760cf0",
        "7ce4126860ddab02daacdfa0c29a24248a1e665e39de8ae12805cd89dd710f99",
        "3d92",
    ),
};
