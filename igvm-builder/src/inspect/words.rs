//! A report of an IGVM file in words.

use std::fmt::{self, Display, Formatter};

use super::Report;
use super::directives::{PageKind, Run, What};
use super::headers::Policy;
use super::image_header::{HeaderReport, PayloadReport};
use super::save_area::VmsaState;
use crate::layout::PAGE_SIZE;
use crate::policy;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "IGVM file, format version {}, {} bytes, header checksum {} (correct)",
            self.format_version, self.bytes, self.checksum
        )?;
        for platform in &self.platforms {
            write!(f, "platform {} version {}", platform.name, platform.version)?;
            write!(f, ", mask {}", platform.mask)?;
            if platform.highest_vtl != 0 {
                write!(f, ", highest VTL {}", platform.highest_vtl)?;
            }
            if platform.shared_gpa_boundary.0 != 0 {
                write!(f, ", memory shared from {}", platform.shared_gpa_boundary)?;
            }
            writeln!(f)?;
        }
        for policy in &self.policies {
            writeln!(f, "{policy}")?;
        }
        for name in &self.other_initialization {
            writeln!(f, "{name}")?;
        }
        let one_platform = self.platforms.len() == 1;
        writeln!(f, "directives:")?;
        for run in &self.directives {
            write!(f, "{:>6}  {}", run.index, run.what)?;
            write!(f, "{}", Pages(run))?;
            if let Some(part) = run.part {
                write!(f, ": {part}")?;
            }
            match run.mask {
                Some(mask) if !one_platform => writeln!(f, " [mask {mask}]")?,
                _ => writeln!(f)?,
            }
            if let What::Vmsa { state, .. } = &run.what {
                write!(f, "{state}")?;
            }
        }
        if let Some(header) = &self.image_header {
            write!(f, "{header}")?;
        }
        writeln!(
            f,
            "guest memory after the launch (addresses, pages, who, measured, whose):"
        )?;
        for region in &self.map {
            writeln!(f, "  {}", region.to_string().trim_end())?;
        }
        let cost = self.launch_pages;
        writeln!(
            f,
            "launch pages: {} measured ({} of them zero) + {} unmeasured = {}",
            cost.measured,
            cost.zero,
            cost.unmeasured,
            cost.total()
        )
    }
}

impl Display for PayloadReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            gpa,
            packed,
            unpacked,
        } = self;
        write!(f, "{packed} bytes at {gpa}, unpacked {unpacked} bytes")
    }
}

impl Display for HeaderReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Rampart image header version {}: guest at VMPL {} with SEV_FEATURES {}, C-bit {}",
            self.version, self.guest_vmpl, self.sev_features, self.c_bit
        )?;
        if !self.flags.is_empty() {
            writeln!(f, "        {}", self.flags.join(", "))?;
        }
        if let Some(pcr) = self.parameters_pcr {
            writeln!(f, "        host's parameters measured into PCR {pcr}")?;
        }
        writeln!(f, "        kernel: {}", self.kernel)?;
        match &self.firmware_sha384 {
            None => writeln!(f, "        guest firmware: {}", self.firmware)?,
            Some(hash) => writeln!(
                f,
                "        guest firmware: {} bytes from the host, with SHA-384 {hash}",
                self.firmware.unpacked
            )?,
        }
        writeln!(
            f,
            "        guest firmware is placed at {}",
            self.firmware_gpa
        )?;
        match &self.problem {
            Some(problem) => writeln!(f, "        REFUSED by the firmware: {problem}"),
            None => Ok(()),
        }
    }
}

impl Display for Policy {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "policy {}", policy::Words(self.value.0))
    }
}

impl Display for What {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages {
                gpa,
                end,
                content,
                measured,
            } => {
                let content = match content {
                    PageKind::Data => "load",
                    PageKind::Zero => "load zeros",
                    PageKind::Secrets => "secrets page",
                    PageKind::Cpuid => "CPUID page",
                };
                let special = content.ends_with("page");
                write!(f, "{:#012x}..{:#012x}  {content}", gpa.0, end.0)?;
                if !measured && !special {
                    write!(f, ", unmeasured")?;
                }
                Ok(())
            }
            Self::ParameterArea {
                area,
                size,
                has_data,
            } => {
                let data = if *has_data { " with data" } else { "" };
                write!(f, "parameter area {area}: {size} bytes{data}")
            }
            Self::Parameter { name, area, offset } => {
                write!(f, "parameter area {area}: {name} at +{offset}")
            }
            Self::ParameterInsert { area, gpa, end } => {
                write!(f, "{:#012x}..{:#012x}  parameter area {area}", gpa.0, end.0)
            }
            Self::RequiredMemory { gpa, end } => {
                write!(
                    f,
                    "{:#012x}..{:#012x}  memory required, nothing loaded",
                    gpa.0, end.0
                )
            }
            Self::Vmsa {
                processor,
                gpa,
                state,
            } => write!(
                f,
                "{:#012x}  VMSA of processor {processor}: VMPL {}, {}",
                gpa.0, state.vmpl, state.mode
            ),
            Self::SnpIdBlock {
                launch_digest,
                guest_svn,
                author_key,
            } => {
                let author = if *author_key {
                    "with author key"
                } else {
                    "without author key"
                };
                write!(
                    f,
                    "ID block for {launch_digest}, guest SVN {guest_svn}, {author}"
                )
            }
            Self::Other { name } => write!(f, "{name}"),
        }
    }
}

impl Display for VmsaState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let indent = "        ";
        writeln!(
            f,
            "{indent}CS {} base {}, RIP {}, RSP {}, RFLAGS {}",
            self.cs_selector, self.cs_base, self.rip, self.rsp, self.rflags
        )?;
        writeln!(
            f,
            "{indent}CR0 {}, CR3 {}, CR4 {}, EFER {}",
            self.cr0, self.cr3, self.cr4, self.efer
        )?;
        let names = self.sev_feature_names.join(", ");
        writeln!(f, "{indent}SEV_FEATURES {} ({names})", self.sev_features)
    }
}

/// The size of a run in pages.
struct Pages<'a>(&'a Run);

impl Display for Pages<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (What::Pages { gpa, end, .. }
        | What::ParameterInsert { gpa, end, .. }
        | What::RequiredMemory { gpa, end }) = &self.0.what
        else {
            return Ok(());
        };
        match (end.0 - gpa.0) / PAGE_SIZE {
            1 => write!(f, ", 1 page"),
            pages => write!(f, ", {pages} pages"),
        }
    }
}
