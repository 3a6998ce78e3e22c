"""A real SNP host: what QEMU is told, and where each value comes from. Never run on silicon by this project.

The command is that of AMD's own scripts (github.com/AMDESE/AMDSEV, launch-qemu.sh), with an IGVM file in the
firmware's place as QEMU's docs/system/igvm.rst has it, and with the two options that the SVSM branches of QEMU
and Linux want (lore.kernel.org/kvm, "KVM Planes with SVSM on Linux v6.17").
"""

import dataclasses

from hostcheck import catalogue, verdict
from hostcheck.check import Level, Result, State
from hostcheck.facts import RAMPART, Facts
from hostcheck.host import Host, Unanswered
from hostcheck.live import LiveHost
from hostcheck.processor import SEV_LEAF
from hostcheck.recorded import RecordedHost

from . import blobs, firmware, image, policy
from .options import MIB
from .qemu import LOW_RAM, binary, quote

# The processor whose CPUID the secure processor accepts on every generation with SNP; the same in AMD's scripts.
CPU = "EPYC-v4"
# This model's physical address bits in QEMU.
CPU_ADDRESS_BITS = 40
# AMD's scripts and QEMU's documentation give 1 on every processor; CPUID's number is the host's, not the guest's.
REDUCED_PHYS_BITS = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was found, and what follows from it."""

    image: image.Image
    image_note: str
    c_bit: int
    c_bit_note: str
    certificates: bool
    planes: bool
    results: list[Result]
    svsm: bool
    # Checks that are advice in general, and needed for what this launch was asked for.
    asked: frozenset[str]

    def verdict(self) -> verdict.Verdict:
        """What check-host would say."""
        return verdict.of(self.results)

    def lacking(self) -> list[Result]:
        """What is known to be missing, and makes this launch fail."""
        return [result for result in self.results if result.seen.state is State.BAD and self.needs(result)]

    def unread(self) -> list[Result]:
        """What is needed and could not be read, and for which KVM does not vouch."""
        if self.verdict() != verdict.Verdict.NOT_READABLE:
            return []
        return [result for result in self.results if result.seen.state is State.UNKNOWN and self.needs(result)]

    def needs(self, result: Result) -> bool:
        """Whether this launch fails without what a check is about."""
        levels = (Level.SNP, Level.SVSM) if self.svsm else (Level.SNP,)
        return result.check.level in levels or result.check.key in self.asked


def find_image(options) -> tuple[image.Image, str]:
    """The image's wants; those of the images to be, while there is none."""
    if options.image.is_file():
        return image.load(options.image), f"{options.image.stat().st_size} bytes"
    planned = image.Image() if options.no_svsm else RAMPART
    return planned, "not built yet: the values below are those of its manifest"


def find_c_bit(host: Host, wanted: int | None) -> tuple[int, str]:
    """The processor's C-bit. It is the image's where the processor has none, which only a dry run can use."""
    try:
        eax, ebx, _, _ = host.cpuid(SEV_LEAF)
    except Unanswered as reason:
        return wanted or 51, f"assumed: {reason}"
    if eax >> 1 & 1:
        return ebx & 0x3F, "CPUID Fn8000_001F EBX[5:0]"
    return wanted or 51, "assumed: this processor has no SEV"


def plan(options) -> Plan:
    """Looks at image and host. Raises image.BadImage."""
    host: Host = RecordedHost(options.host_root) if options.host_root else LiveHost(binary())
    found, note = find_image(options)
    results = catalogue.run(Facts(host, found, options.firmware))
    state = {result.check.key: result.seen.state for result in results}
    c_bit, c_bit_note = find_c_bit(host, found.c_bit)
    asked = frozenset(("qemu.certificates", "kvm.certificates") if options.certificates else ())
    return Plan(
        image=found, image_note=note, c_bit=c_bit, c_bit_note=c_bit_note, results=results, svsm=found.guest_vmpl > 0,
        asked=asked, certificates=state["qemu.certificates"] is State.GOOD, planes=state["vmpl.qemu"] is State.GOOD,
    )  # fmt: skip


def address_bits(size: int) -> int:
    """Enough for the memory and as much again for devices. Below 48 always: QEMU takes the address of the
    IGVM file's VMSA (0xFFFFFFFFF000) for a real one otherwise."""
    return max(CPU_ADDRESS_BITS, size.bit_length() + (1 if size & size - 1 else 0))


def machine(options, found: Plan) -> str:
    """The value of -machine."""
    out = f"q35,smm=off,confidential-guest-support=sev0,memory-backend=ram0,igvm-cfg=igvm0,vmport=off,{LOW_RAM}"
    if found.svsm and (found.planes or not options.anyway):
        # Devices belong to the guest's VMPL, and planes need QEMU's own I/O APIC.
        out += f",kernel-irqchip=split,device-plane={found.image.guest_vmpl}"
    return out


def guest_object(options, found: Plan) -> str:
    """The object that makes the guest an SNP guest. QEMU up to 11.1 leaves the policy of an IGVM file out of the
    launch (lists.nongnu.org/archive/html/qemu-devel, September 2026), so it is given here as well."""
    out = f"sev-snp-guest,id=sev0,cbitpos={found.c_bit},reduced-phys-bits={REDUCED_PHYS_BITS},policy={found.image.policy:#x}"
    if options.id_block:
        authentication = blobs.id_auth(options.id_auth)
        out += f",id-block={blobs.base64(blobs.id_block(options.id_block, found.image))}"
        out += f",id-auth={blobs.base64(authentication)}"
        out += f",author-key-enabled={'on' if blobs.has_author_key(authentication) else 'off'}"
    if options.host_data:
        out += f",host-data={blobs.base64(blobs.host_data(options.host_data))}"
    if options.certificates and (found.certificates or not options.anyway):
        out += f",certs-path={quote(options.certificates)}"
    return out


def arguments(options, found: Plan) -> list[str]:
    """QEMU's arguments for the machine itself."""
    size = f"{options.mem // MIB}M"
    bits = address_bits(options.mem)
    return [
        "-machine", machine(options, found),
        "-accel", "kvm",
        "-cpu", CPU if bits == CPU_ADDRESS_BITS else f"{CPU},phys-bits={bits}",
        "-m", size,
        # The guest's shared memory. Its private memory is guest_memfd's, which QEMU makes by itself. Nothing is
        # allocated or reserved ahead: a page is either shared or private, so that would take twice the memory.
        "-object", f"memory-backend-memfd,id=ram0,size={size},share=true,prealloc=false,reserve=false",
        "-object", guest_object(options, found),
        "-object", f"igvm-cfg,id=igvm0,file={quote(options.image)}",
        # QEMU 10.1 starts no guest with IGVM and a VGA card.
        "-vga", "none",
    ]  # fmt: skip


def vcpus(options, found: Plan) -> str:
    """Their number, and what it entails."""
    if options.smp == 1:
        return "1"
    out = f"{options.smp}, each of which KVM measures: the launch digest depends on it"
    return out + ("; Rampart runs one unless the CPUID page has INVLPGB (qemu.invlpgb)" if found.svsm else "")


def signed(options, found: Plan) -> str:
    """Where the ID block comes from."""
    if options.id_block:
        block = blobs.id_block(options.id_block, found.image)
        return f"{options.id_block} and {options.id_auth}, for launch digest {blobs.digest(block).hex()}"
    if found.image.id_block is None:
        return "none"
    keys = "ID key and author key" if found.image.author_key else "ID key"
    return f"the image's own ({keys}), for launch digest {found.image.id_block.hex()}"


def values(options, found: Plan) -> list[tuple[str, str]]:
    """Every value that the command is made of, with where it is from."""
    vmpls = f"SVSM at VMPL0, guest at VMPL{found.image.guest_vmpl}" if found.svsm else "guest at VMPL0, no SVSM"
    out = [
        ("host", f"recorded in {options.host_root}" if options.host_root else "this machine"),
        ("QEMU", f"{binary()}: {text_of(found, 'qemu.program')}"),
        ("image", f"{options.image} ({found.image_note})"),
        *firmware.values(options),
        ("VMPLs", vmpls),
        ("policy", f"{found.image.policy:#x}: {policy.words(found.image.policy)}"),
        ("C-bit", f"{found.c_bit} ({found.c_bit_note})"),
        ("processor model", CPU),
        ("physical address bits", f"{REDUCED_PHYS_BITS} fewer, of {address_bits(options.mem)}"),
        ("memory", f"{options.mem // MIB} MiB"),
        ("vCPUs", vcpus(options, found)),
        ("launch digest", f"igvm-builder measure {options.image} --check-kvm --vcpus {options.smp} --cpu {CPU}"),
        ("ID block", signed(options, found)),
        ("host data", options.host_data or "none"),
        ("certificates", str(options.certificates or "none: a verifier fetches them from AMD")),
        ("console", "standard input and output" + (f", and {options.log}" if options.log else "")),
        ("QEMU's log", str(options.debug or "none")),
        ("disks", ", ".join(map(str, options.disk)) or "none"),
        ("network", "user mode" if options.network else "none"),
    ]
    return out


def text_of(found: Plan, key: str) -> str:
    """What a check found."""
    return next(result.seen.found for result in found.results if result.check.key == key)
