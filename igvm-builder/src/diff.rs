//! Why two images have different launch digests: page by page, by name.

use std::collections::BTreeMap;
use std::fmt;

use igvm::{IgvmDirectiveHeader as Directive, IgvmFile};
use protocols::snp::LaunchPageType;
use serde::Serialize;

use crate::container::{ContainerError, Image};
use crate::hex::{self, Hex};
use crate::id_block::SignedIdBlock;
use crate::inspect::image_header::{self, HeaderReport};
use crate::layout::PAGE_SIZE;
use crate::measure::MeasureError;
use crate::owners::Owners;
use crate::policy;
use crate::sequence::{self, Sequence, Step};
use crate::sign;
use crate::vmsa_fields::{Difference, VmsaPage, differences};

/// Which of both files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The first.
    First,
    /// The second.
    Second,
}

/// How pages differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "kebab-case")]
pub enum What {
    /// One file alone loads them.
    OnlyIn {
        /// Which.
        side: Side,
    },
    /// Other contents.
    Contents {
        /// How many bytes differ.
        bytes: usize,
        /// The first address at which they do.
        from: Hex,
    },
    /// Another type of page.
    PageType {
        /// In the first file.
        first: &'static str,
        /// In the second file.
        second: &'static str,
    },
}

/// Neighbouring pages that differ in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// The first address.
    pub gpa: Hex,
    /// The address after the last.
    pub end: Hex,
    /// Whose they are, as far as a file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<&'static str>,
    /// How they differ.
    #[serde(flatten)]
    pub what: What,
    /// Whether the launch digest covers the difference.
    pub measured: bool,
}

/// How a processor's VMSA differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SaveArea {
    /// The processor.
    pub processor: u16,
    /// The one file that has a VMSA for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only_in: Option<Side>,
    /// The fields that differ.
    pub fields: Vec<Difference>,
}

/// How two images differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// The files' names.
    pub names: [String; 2],
    /// The launch digests.
    pub launch_digests: [String; 2],
    /// Whether the launch digest is the same.
    pub same_digest: bool,
    /// Pages that differ, by address.
    pub pages: Vec<Pages>,
    /// The first page that is loaded at another place in the order, if the pages that
    /// both load come in different orders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Hex>,
    /// VMSAs that differ.
    pub save_areas: Vec<SaveArea>,
    /// Fields of Rampart's image header.
    pub image_header: Vec<Difference>,
    /// What the launch digest does not cover: policy, ID block, memory, parameters.
    pub unmeasured: Vec<Difference>,
}

/// Compares two images.
///
/// # Errors
/// [`MeasureError`] for what cannot be launched, with the name of the file.
pub fn diff(first: (&str, &[u8]), second: (&str, &[u8])) -> Result<Diff, (String, MeasureError)> {
    let parse = |(name, bytes): (&str, &[u8])| {
        Image::parse(bytes).map_err(|error: ContainerError| (name.to_owned(), error.into()))
    };
    let images = [parse(first)?, parse(second)?];
    let names = [first.0, second.0].map(str::to_owned);
    let launch = |index: usize| {
        let sequence = Sequence::of(&images[index]);
        sequence.map_err(|error| (names[index].clone(), error.into()))
    };
    let sequences = [launch(0)?, launch(1)?];
    let launch_digests = [0, 1].map(|index| hex::digits(&sequences[index].digest()));
    Ok(Diff {
        same_digest: launch_digests[0] == launch_digests[1],
        pages: pages(&images, &sequences),
        order: order(&sequences),
        save_areas: save_areas(&sequences),
        image_header: image_header(&images),
        unmeasured: unmeasured(&images),
        names,
        launch_digests,
    })
}

/// The pages of a launch by address; of several at one address the last.
fn by_address<'a, 'b>(sequence: &'b Sequence<'a>) -> BTreeMap<u64, &'b Step<'a>> {
    sequence.steps.iter().map(|step| (step.gpa, step)).collect()
}

fn pages(images: &[Image; 2], sequences: &[Sequence<'_>; 2]) -> Vec<Pages> {
    let [first, second] = [by_address(&sequences[0]), by_address(&sequences[1])];
    let owners = [Owners::of(&images[0].file), Owners::of(&images[1].file)];
    let mut all: Vec<u64> = first.keys().chain(second.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let mut found: Vec<Pages> = Vec::new();
    for gpa in all {
        let (what, measured) = match (first.get(&gpa), second.get(&gpa)) {
            (Some(a), Some(b)) => match compare(a, b) {
                Some(found) => found,
                None => continue,
            },
            (Some(_), None) => (What::OnlyIn { side: Side::First }, true),
            (None, _) => (What::OnlyIn { side: Side::Second }, true),
        };
        let owner = owners[0].name(gpa).or_else(|| owners[1].name(gpa));
        let page = Pages {
            gpa: Hex(gpa),
            end: Hex(gpa.saturating_add(PAGE_SIZE)),
            owner,
            what,
            measured,
        };
        match found.last_mut() {
            Some(last) if last.continues(&page) => last.take_in(&page),
            _ => found.push(page),
        }
    }
    found
}

impl Pages {
    fn continues(&self, next: &Self) -> bool {
        let same_kind = match (&self.what, &next.what) {
            (What::Contents { .. }, What::Contents { .. }) => true,
            (own, other) => own == other,
        };
        self.end == next.gpa
            && self.owner == next.owner
            && self.measured == next.measured
            && same_kind
    }

    fn take_in(&mut self, next: &Self) {
        self.end = next.end;
        if let (What::Contents { bytes, .. }, What::Contents { bytes: more, .. }) =
            (&mut self.what, &next.what)
        {
            *bytes += more;
        }
    }
}

/// How two pages at one address differ, and whether that is measured.
fn compare(a: &Step<'_>, b: &Step<'_>) -> Option<(What, bool)> {
    if a.page_type != b.page_type {
        let types = What::PageType {
            first: type_name(a.page_type),
            second: type_name(b.page_type),
        };
        return Some((types, true));
    }
    let byte = |contents: &[u8], at| contents.get(at).copied().unwrap_or(0);
    let differing =
        (0..PAGE_SIZE as usize).filter(|at| byte(a.contents, *at) != byte(b.contents, *at));
    let (mut bytes, mut from) = (0, None);
    for at in differing {
        bytes += 1;
        from.get_or_insert(at);
    }
    let from = Hex(a.gpa.saturating_add(from? as u64));
    let measured = a.page_type.is_content_measured();
    Some((What::Contents { bytes, from }, measured))
}

fn type_name(page_type: LaunchPageType) -> &'static str {
    match page_type {
        LaunchPageType::NORMAL => "data",
        LaunchPageType::UNMEASURED => "unmeasured",
        LaunchPageType::SECRETS => "secrets",
        LaunchPageType::CPUID => "CPUID",
        _ => "another type",
    }
}

/// The first page, among those that both load, at which the orders part.
fn order(sequences: &[Sequence<'_>; 2]) -> Option<Hex> {
    let [first, second] = [by_address(&sequences[0]), by_address(&sequences[1])];
    let common = |sequence: &Sequence<'_>| -> Vec<u64> {
        let pages = sequence.steps.iter().map(|step| step.gpa);
        pages
            .filter(|gpa| first.contains_key(gpa) && second.contains_key(gpa))
            .collect()
    };
    let (a, b) = (common(&sequences[0]), common(&sequences[1]));
    let mut pairs = a.iter().zip(&b);
    let apart = pairs.find(|(a, b)| a != b).map(|(a, _)| a);
    // A page that one file loads twice is at another place too.
    let longer = || a.get(b.len()).or_else(|| b.get(a.len()));
    apart.or_else(longer).copied().map(Hex)
}

fn save_areas(sequences: &[Sequence<'_>; 2]) -> Vec<SaveArea> {
    let areas = |sequence: &Sequence<'_>| -> BTreeMap<u16, (u64, VmsaPage)> {
        let areas = sequence.save_areas.iter();
        areas
            .map(|area| (area.processor, (area.gpa, area.page())))
            .collect()
    };
    let [first, second] = [areas(&sequences[0]), areas(&sequences[1])];
    let mut processors: Vec<u16> = first.keys().chain(second.keys()).copied().collect();
    processors.sort_unstable();
    processors.dedup();
    let mut found = Vec::new();
    for processor in processors {
        let (only_in, fields) = match (first.get(&processor), second.get(&processor)) {
            (Some((gpa_a, a)), Some((gpa_b, b))) => {
                let mut fields = differences(a, b);
                if gpa_a != gpa_b {
                    fields.insert(0, changed("address", Hex(*gpa_a), Hex(*gpa_b)));
                }
                (None, fields)
            }
            (Some(_), None) => (Some(Side::First), vec![]),
            (None, _) => (Some(Side::Second), vec![]),
        };
        if only_in.is_some() || !fields.is_empty() {
            found.push(SaveArea {
                processor,
                only_in,
                fields,
            });
        }
    }
    found
}

fn changed(field: &str, first: impl ToString, second: impl ToString) -> Difference {
    Difference {
        field: field.into(),
        first: first.to_string(),
        second: second.to_string(),
    }
}

/// The image headers' fields, named as `inspect --json` names them.
fn image_header(images: &[Image; 2]) -> Vec<Difference> {
    let fields = |image: &Image| {
        let header = image_header::find(&image.file);
        let report = header.as_ref().map(HeaderReport::of);
        flat(&serde_json::to_value(report).unwrap_or_default())
    };
    compare_fields(&fields(&images[0]), &fields(&images[1]))
}

fn unmeasured(images: &[Image; 2]) -> Vec<Difference> {
    let fields = |image: &Image| {
        let mut fields = BTreeMap::new();
        let policy = sequence::stated_policy(&image.file);
        let words = policy.map(|policy| policy::Words(policy).to_string());
        fields.insert("policy".into(), words.unwrap_or_else(|| "none".into()));
        let block = SignedIdBlock::of_file(&image.file, policy.unwrap_or(0));
        let report = block.as_ref().map(|(_, block)| sign::Report::of(block));
        for (name, value) in flat(&serde_json::to_value(report).unwrap_or_default()) {
            fields.insert(format!("ID block: {name}"), value);
        }
        fields.insert("required memory".into(), required(&image.file));
        fields.insert("parameters".into(), parameters(&image.file));
        fields
    };
    compare_fields(&fields(&images[0]), &fields(&images[1]))
}

fn required(file: &IgvmFile) -> String {
    let ranges = file
        .directives()
        .iter()
        .filter_map(|directive| match directive {
            Directive::RequiredMemory {
                gpa,
                number_of_bytes,
                ..
            } => Some(format!("{gpa:#x}+{number_of_bytes:#x}")),
            _ => None,
        });
    ranges.collect::<Vec<_>>().join(" ")
}

/// Parameters and their places.
fn parameters(file: &IgvmFile) -> String {
    let directives = file.directives().iter();
    let places = directives.filter_map(|directive| {
        let (name, place) = crate::inspect::directives::parameter_of(directive)?;
        let (area, offset) = (place.parameter_area_index, place.byte_offset);
        Some(format!("{name} in area {area} at {offset:#x}"))
    });
    places.collect::<Vec<_>>().join(", ")
}

/// The leaves of a JSON value by their paths.
fn flat(value: &serde_json::Value) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &serde_json::Value, leaves: &mut BTreeMap<String, String>) {
        match value {
            serde_json::Value::Object(members) => {
                for (name, member) in members {
                    let dot = if path.is_empty() { "" } else { "." };
                    walk(&format!("{path}{dot}{name}"), member, leaves);
                }
            }
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => {
                leaves.insert(path.into(), text.clone());
            }
            other => {
                leaves.insert(path.into(), other.to_string());
            }
        }
    }
    let mut leaves = BTreeMap::new();
    walk("", value, &mut leaves);
    leaves
}

fn compare_fields(
    first: &BTreeMap<String, String>,
    second: &BTreeMap<String, String>,
) -> Vec<Difference> {
    let mut names: Vec<&String> = first.keys().chain(second.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let absent = || "-".to_owned();
    names
        .into_iter()
        .filter(|name| first.get(*name) != second.get(*name))
        .map(|name| Difference {
            field: name.clone(),
            first: first.get(name).cloned().unwrap_or_else(absent),
            second: second.get(name).cloned().unwrap_or_else(absent),
        })
        .collect()
}

impl fmt::Display for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.gpa.0, self.end.0);
        let pages = match (end - start) / PAGE_SIZE {
            1 => "1 page".into(),
            pages => format!("{pages} pages"),
        };
        write!(f, "{start:#012x}..{end:#012x}  {pages}")?;
        if let Some(owner) = self.owner {
            write!(f, " of {owner}")?;
        }
        match &self.what {
            What::OnlyIn { side: Side::First } => write!(f, ": only in the first"),
            What::OnlyIn { side: Side::Second } => write!(f, ": only in the second"),
            What::Contents { bytes, from } => {
                let unmeasured = if self.measured { "" } else { " (not measured)" };
                write!(f, ": {bytes} bytes differ, from {from} on{unmeasured}")
            }
            What::PageType { first, second } => {
                write!(f, ": {first} in the first, {second} in the second")
            }
        }
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (digest, name) in self.launch_digests.iter().zip(&self.names) {
            writeln!(f, "{digest}  {name}")?;
        }
        for pages in &self.pages {
            writeln!(f, "{pages}")?;
        }
        if let Some(gpa) = &self.order {
            writeln!(f, "pages are loaded in another order, from {gpa} on")?;
        }
        let list = |f: &mut fmt::Formatter<'_>, what: &str, all: &[Difference]| {
            all.iter().try_for_each(
                |Difference {
                     field,
                     first,
                     second,
                 }| {
                    writeln!(
                        f,
                        "{what}{field}: {first} in the first, {second} in the second"
                    )
                },
            )
        };
        for area in &self.save_areas {
            let name = format!("VMSA of processor {}: ", area.processor);
            match area.only_in {
                Some(Side::First) => writeln!(f, "{name}only in the first")?,
                Some(Side::Second) => writeln!(f, "{name}only in the second")?,
                None => list(f, &name, &area.fields)?,
            }
        }
        list(f, "image header: ", &self.image_header)?;
        list(f, "not measured: ", &self.unmeasured)?;
        match self.same_digest {
            true => writeln!(f, "the launch digest is the same"),
            false => writeln!(f, "the launch digests differ"),
        }
    }
}

#[cfg(test)]
mod tests;
