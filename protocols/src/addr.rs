//! Guest physical addresses, pages and ranges, with checked arithmetic only.

/// Bytes in a 4 KiB page.
pub const PAGE_4K: u64 = 0x1000;
/// Bytes in a 2 MiB page.
pub const PAGE_2M: u64 = 0x20_0000;
/// 4 KiB pages in a 2 MiB page.
pub const PAGES_PER_2M: u64 = PAGE_2M / PAGE_4K;

/// The two page sizes of the RMP (APM volume 2, section 15.36).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// 4 KiB, encoded as 0.
    Size4K,
    /// 2 MiB, encoded as 1.
    Size2M,
}

impl PageSize {
    /// Length in bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            PageSize::Size4K => PAGE_4K,
            PageSize::Size2M => PAGE_2M,
        }
    }

    /// The operand of PVALIDATE and RMPADJUST: 0 or 1.
    pub const fn encoding(self) -> u64 {
        match self {
            PageSize::Size4K => 0,
            PageSize::Size2M => 1,
        }
    }

    /// The inverse of [`PageSize::encoding`].
    pub const fn from_encoding(value: u64) -> Option<Self> {
        match value {
            0 => Some(PageSize::Size4K),
            1 => Some(PageSize::Size2M),
            _ => None,
        }
    }
}

/// A guest physical address, without the C-bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gpa(u64);

impl Gpa {
    /// An address. Whether it names memory is the memory map's to say.
    pub const fn new(address: u64) -> Self {
        Self(address)
    }

    /// The address of a 4 KiB page frame, unless that is beyond 64 bits.
    pub const fn from_pfn(pfn: u64) -> Option<Self> {
        match pfn.checked_mul(PAGE_4K) {
            Some(address) => Some(Self(address)),
            None => None,
        }
    }

    /// The address as a number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Number of the 4 KiB page that holds the address.
    pub const fn pfn(self) -> u64 {
        self.0 / PAGE_4K
    }

    /// `self + bytes`, unless that wraps.
    pub const fn checked_add(self, bytes: u64) -> Option<Self> {
        match self.0.checked_add(bytes) {
            Some(address) => Some(Self(address)),
            None => None,
        }
    }

    /// Whether the address is the first byte of a page of that size.
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.0 & (size.bytes() - 1) == 0
    }

    /// The first byte of the page of that size that holds the address.
    pub const fn page_base(self, size: PageSize) -> Self {
        Self(self.0 & !(size.bytes() - 1))
    }

    /// Distance from the first byte of the page of that size.
    pub const fn page_offset(self, size: PageSize) -> u64 {
        self.0 & (size.bytes() - 1)
    }
}

impl core::fmt::LowerHex for Gpa {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::LowerHex::fmt(&self.0, formatter)
    }
}

impl core::fmt::Display for Gpa {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{:#x}", self.0)
    }
}

/// One page: an address aligned to its size, whose last byte does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GpaPage {
    gpa: Gpa,
    size: PageSize,
}

impl GpaPage {
    /// A page, if `gpa` is aligned and the page ends below 2^64.
    pub const fn new(gpa: Gpa, size: PageSize) -> Option<Self> {
        if gpa.is_aligned(size) && gpa.checked_add(size.bytes()).is_some() {
            Some(Self { gpa, size })
        } else {
            None
        }
    }

    /// A 4 KiB page.
    pub const fn new_4k(gpa: Gpa) -> Option<Self> {
        Self::new(gpa, PageSize::Size4K)
    }

    /// A 2 MiB page.
    pub const fn new_2m(gpa: Gpa) -> Option<Self> {
        Self::new(gpa, PageSize::Size2M)
    }

    /// First byte.
    pub const fn gpa(self) -> Gpa {
        self.gpa
    }

    /// Size.
    pub const fn size(self) -> PageSize {
        self.size
    }

    /// Length in bytes.
    pub const fn bytes(self) -> u64 {
        self.size.bytes()
    }

    /// The bytes of the page.
    pub const fn range(self) -> GpaRange {
        GpaRange {
            start: self.gpa,
            len: self.size.bytes(),
        }
    }

    /// The page as 4 KiB pages: itself, or its 512 parts.
    pub fn split(self) -> impl Iterator<Item = GpaPage> {
        let start = self.gpa.0;
        (0..self.size.bytes() / PAGE_4K).map(move |index| GpaPage {
            gpa: Gpa(start + index * PAGE_4K),
            size: PageSize::Size4K,
        })
    }
}

/// A range of bytes `[start, start + len)` that does not wrap. May be empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct GpaRange {
    start: Gpa,
    len: u64,
}

impl GpaRange {
    /// A range, unless its end is beyond 2^64 - 1.
    pub const fn new(start: Gpa, len: u64) -> Option<Self> {
        match start.checked_add(len) {
            Some(_) => Some(Self { start, len }),
            None => None,
        }
    }

    /// The range from `start` up to, not including, `end`; none if `end` is before `start`.
    pub const fn from_bounds(start: Gpa, end: Gpa) -> Option<Self> {
        match end.0.checked_sub(start.0) {
            Some(len) => Some(Self { start, len }),
            None => None,
        }
    }

    /// A range of 4 KiB pages, unless it wraps.
    pub const fn from_pages(pfn: u64, count: u64) -> Option<Self> {
        match (Gpa::from_pfn(pfn), count.checked_mul(PAGE_4K)) {
            (Some(start), Some(len)) => Self::new(start, len),
            _ => None,
        }
    }

    /// First byte.
    pub const fn start(self) -> Gpa {
        self.start
    }

    /// The byte behind the last.
    pub const fn end(self) -> Gpa {
        Gpa(self.start.0 + self.len)
    }

    /// Length in bytes.
    pub const fn len(self) -> u64 {
        self.len
    }

    /// Whether the range has no byte.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Whether start and length are multiples of the page size.
    pub const fn is_aligned(self, size: PageSize) -> bool {
        self.start.is_aligned(size) && self.len & (size.bytes() - 1) == 0
    }

    /// Whether the byte lies in the range.
    pub const fn contains(self, gpa: Gpa) -> bool {
        self.start.0 <= gpa.0 && gpa.0 < self.end().0
    }

    /// Whether all of `other` lies in the range. The empty range lies anywhere.
    pub const fn contains_range(self, other: GpaRange) -> bool {
        other.is_empty() || (self.start.0 <= other.start.0 && other.end().0 <= self.end().0)
    }

    /// Whether the two ranges have a byte in common.
    pub const fn overlaps(self, other: GpaRange) -> bool {
        self.intersect(other).is_some()
    }

    /// The bytes in both ranges, if any.
    pub const fn intersect(self, other: GpaRange) -> Option<GpaRange> {
        let start = if self.start.0 > other.start.0 {
            self.start
        } else {
            other.start
        };
        let (a, b) = (self.end(), other.end());
        let end = if a.0 < b.0 { a } else { b };
        if start.0 < end.0 {
            GpaRange::from_bounds(start, end)
        } else {
            None
        }
    }

    /// What is left of the range around `hole`: the part before it and the part
    /// behind it, each possibly none.
    pub const fn without(self, hole: GpaRange) -> (Option<GpaRange>, Option<GpaRange>) {
        match self.intersect(hole) {
            None => (if self.is_empty() { None } else { Some(self) }, None),
            Some(cut) => {
                let before = if self.start.0 < cut.start.0 {
                    GpaRange::from_bounds(self.start, cut.start)
                } else {
                    None
                };
                let behind = if cut.end().0 < self.end().0 {
                    GpaRange::from_bounds(cut.end(), self.end())
                } else {
                    None
                };
                (before, behind)
            }
        }
    }

    /// The pages of an aligned range, each as large as alignment and length
    /// allow but at most `largest`. Bytes before the first and behind the last
    /// 4 KiB boundary are in no page.
    pub fn pages(self, largest: PageSize) -> impl Iterator<Item = GpaPage> + Clone {
        let mut next = self.start.0.checked_next_multiple_of(PAGE_4K);
        let end = self.end().0;
        core::iter::from_fn(move || {
            let gpa = Gpa(next?);
            let left = end.checked_sub(gpa.0)?;
            let large =
                largest == PageSize::Size2M && gpa.is_aligned(PageSize::Size2M) && left >= PAGE_2M;
            let size = if large {
                PageSize::Size2M
            } else {
                PageSize::Size4K
            };
            if left < size.bytes() {
                return None;
            }
            next = gpa.0.checked_add(size.bytes());
            Some(GpaPage { gpa, size })
        })
    }
}

impl core::fmt::Display for GpaRange {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "[{:#x}, {:#x})", self.start.0, self.end().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_that_wraps_is_none() {
        assert_eq!(GpaRange::new(Gpa::new(u64::MAX), 1), None);
        assert!(GpaRange::new(Gpa::new(u64::MAX), 0).is_some());
        assert_eq!(GpaRange::from_pages(u64::MAX / PAGE_4K, 1), None);
        assert_eq!(GpaPage::new_4k(Gpa::new(0u64.wrapping_sub(PAGE_4K))), None);
    }

    #[test]
    fn a_hole_in_the_middle_leaves_two_parts() {
        let all = GpaRange::new(Gpa::new(0x1000), 0x9000).unwrap();
        let hole = GpaRange::new(Gpa::new(0x3000), 0x1000).unwrap();
        let (before, behind) = all.without(hole);
        assert_eq!(before, GpaRange::new(Gpa::new(0x1000), 0x2000));
        assert_eq!(behind, GpaRange::new(Gpa::new(0x4000), 0x6000));
        assert_eq!(all.without(all), (None, None));
    }

    proptest! {
        #[test]
        fn pages_cover_exactly_the_aligned_range(start in 0u64..4096, count in 0u64..2048) {
            let range = GpaRange::from_pages(start, count).unwrap();
            let mut at = range.start();
            for page in range.pages(PageSize::Size2M) {
                prop_assert_eq!(page.gpa(), at);
                at = page.range().end();
            }
            prop_assert_eq!(at, range.end());
        }

        #[test]
        fn intersection_agrees_with_membership(
            a in 0u64..64, b in 0u64..64, c in 0u64..64, d in 0u64..64, probe in 0u64..160,
        ) {
            let (x, y) = (GpaRange::new(Gpa(a), b).unwrap(), GpaRange::new(Gpa(c), d).unwrap());
            let both = x.contains(Gpa(probe)) && y.contains(Gpa(probe));
            let meet = x.intersect(y).is_some_and(|r| r.contains(Gpa(probe)));
            prop_assert_eq!(both, meet);
            let (before, behind) = x.without(y);
            let left = [before, behind].into_iter().flatten().any(|r| r.contains(Gpa(probe)));
            prop_assert_eq!(left, x.contains(Gpa(probe)) && !y.contains(Gpa(probe)));
        }
    }
}
