//! The map of guest memory as a picture.

use std::fmt::Write;

use super::map::{Kind, Region};

const WIDTH: u64 = 860;
/// Where the boxes begin, after the addresses.
const LEFT: u64 = 150;
const BOX: u64 = 250;
const TOP: u64 = 56;
const GAP: u64 = 14;

fn color(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "#4477aa",
        Kind::Zeros => "#a6c8e8",
        Kind::Secrets => "#aa3377",
        Kind::Cpuid => "#ee99bb",
        Kind::Parameters => "#ccbb44",
        Kind::Required => "#eeeeee",
        Kind::Shared => "#ee6677",
        Kind::Vmsa => "#228833",
    }
}

/// Twice the pages are a little higher: from 20 to some 60 points.
fn height(region: &Region) -> u64 {
    20 + 2 * u64::from(u64::BITS - region.pages().leading_zeros())
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// An SVG picture of `regions`, the lowest address at the bottom.
pub fn svg(title: &str, regions: &[Region]) -> String {
    let mut rows = String::new();
    let mut y = TOP;
    let mut above: Option<u64> = None;
    for region in regions.iter().rev() {
        if above.is_some_and(|above| above != region.end.0) {
            let _ = writeln!(
                rows,
                r##"<line x1="{LEFT}" y1="{0}" x2="{1}" y2="{0}" stroke="#999" stroke-dasharray="2 4"/>"##,
                y + GAP / 2,
                LEFT + BOX
            );
            y += GAP;
        }
        let height = height(region);
        let middle = y + height / 2 + 4;
        let pages = match region.pages() {
            1 => "1 page".into(),
            pages => format!("{pages} pages"),
        };
        let owner = region
            .owner
            .map_or(String::new(), |owner| format!("{owner}: "));
        let words = format!(
            "{owner}{pages}, {}, {}",
            region.kind.words(),
            region.measured.words()
        );
        let _ = writeln!(
            rows,
            r##"<rect x="{LEFT}" y="{y}" width="{BOX}" height="{height}" fill="{}" stroke="#333"/>"##,
            color(region.kind)
        );
        let _ = writeln!(
            rows,
            r##"<text x="{}" y="{}" text-anchor="end" font-family="monospace" font-size="11">{:#x}</text>"##,
            LEFT - 8,
            y + height - 3,
            region.gpa.0
        );
        let _ = writeln!(
            rows,
            r##"<text x="{}" y="{middle}">{}</text>"##,
            LEFT + BOX + 12,
            escaped(&words)
        );
        y += height;
        above = Some(region.gpa.0);
    }
    let bottom = y + 20;
    let title = escaped(title);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{bottom}" font-family="sans-serif" font-size="12">
<title>{title}</title>
<rect width="{WIDTH}" height="{bottom}" fill="#fff"/>
<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{title}</text>
<text x="{LEFT}" y="42">guest memory after the launch; heights grow with the logarithm of the size</text>
{rows}</svg>
"##
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;

    #[test]
    fn every_region_is_a_box_and_tags_are_closed() {
        for file in [plain_image(), rampart_image()] {
            let report = super::super::inspect(&file).unwrap();
            let picture = svg("a < b & \"c\"", &report.map);
            assert_eq!(picture.matches("<rect x=").count(), report.map.len());
            assert!(picture.contains("<title>a &lt; b &amp; &quot;c&quot;</title>"));
            for tag in ["svg", "title", "text"] {
                let opened = picture.matches(&format!("<{tag} ")).count()
                    + picture.matches(&format!("<{tag}>")).count();
                let closed = picture.matches(&format!("</{tag}>")).count();
                assert_eq!(opened, closed, "{tag}");
            }
        }
    }
}
