//! The root keys: AMD's, and that of the emulated machine's test chain.

use der::{Decode, Encode};
use x509_cert::Certificate;

/// AMD's signing and root certificates of one product, as its key distribution server
/// gives them out: ASK, then ARK. See roots/README.md.
struct Product {
    name: &'static str,
    pem: &'static str,
}

const PRODUCTS: [Product; 3] = [
    Product {
        name: "Milan",
        pem: include_str!("../roots/milan.pem"),
    },
    Product {
        name: "Genoa",
        pem: include_str!("../roots/genoa.pem"),
    },
    Product {
        name: "Turin",
        pem: include_str!("../roots/turin.pem"),
    },
];

/// The root of the test chain, whose private key anybody can compute.
const TEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/test-ark.der"));

/// Whose root a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// AMD's, for a product.
    Amd(&'static str),
    /// The emulated machine's.
    Test,
}

/// Whose root this certificate is, byte for byte.
pub fn find(ark: &Certificate) -> Option<Root> {
    let der = ark.to_der().ok()?;
    if der == TEST {
        return Some(Root::Test);
    }
    let is_of = |product: &&Product| {
        let [_, root] = authorities(product)?;
        (root.to_der().ok()? == der).then_some(())
    };
    let product = PRODUCTS.iter().find(|product| is_of(product).is_some())?;
    Some(Root::Amd(product.name))
}

/// A built-in authority by its name as others' issuer: the ASK of a VCEK, or an ARK.
pub fn authority(subject: &x509_cert::name::Name) -> Option<Certificate> {
    let built_in = PRODUCTS.iter().filter_map(authorities).flatten();
    let test = Certificate::from_der(TEST).ok();
    let mut all = built_in.chain(test);
    all.find(|certificate| certificate.tbs_certificate().subject() == subject)
}

fn authorities(product: &Product) -> Option<[Certificate; 2]> {
    let chain = Certificate::load_pem_chain(product.pem.as_bytes()).ok()?;
    chain.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_two_authorities() {
        for product in &PRODUCTS {
            let [ask, ark] = authorities(product).unwrap();
            let name = |of: &Certificate| of.tbs_certificate().subject().to_string();
            assert!(name(&ask).contains(&format!("CN=SEV-{}", product.name)));
            assert!(name(&ark).contains(&format!("CN=ARK-{}", product.name)));
            assert_eq!(find(&ark), Some(Root::Amd(product.name)));
            assert_eq!(find(&ask), None);
            assert_eq!(authority(ask.tbs_certificate().subject()), Some(ask));
        }
    }

    #[test]
    fn the_test_root_is_known_as_such() {
        assert_eq!(
            find(&Certificate::from_der(TEST).unwrap()),
            Some(Root::Test)
        );
    }
}
