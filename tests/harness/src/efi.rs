//! A UEFI application so small that it is made here, byte by byte.

/// Asks the firmware for a cold reset: `RuntimeServices->ResetSystem(0, 0, 0, NULL)`. The system
/// table comes in RDX; the offsets are those of the UEFI specification, sections 4.3 and 4.5.
const RESET: [u8; 25] = [
    0x48, 0x83, 0xec, 0x28, // sub rsp, 0x28
    0x48, 0x8b, 0x42, 0x58, // mov rax, [rdx + 0x58]: RuntimeServices
    0x31, 0xc9, // xor ecx, ecx: EfiResetCold
    0x31, 0xd2, // xor edx, edx
    0x45, 0x31, 0xc0, // xor r8d, r8d
    0x45, 0x31, 0xc9, // xor r9d, r9d
    0xff, 0x50, 0x68, // call [rax + 0x68]: ResetSystem
    0xeb, 0xfe, 0xcc, 0xcc, // jmp $
];

const PE_OFFSET: u32 = 0x40;
const HEADERS: u32 = 0x200;
const CODE_RVA: u32 = 0x1000;
const OPTIONAL_HEADER: u16 = 0xf0;
/// QEMU splits a kernel behind the Linux boot sector and its four sectors of set-up; what is
/// shorter than that is none to it.
const FILE_SIZE: u32 = 0x1000;

/// The application as a PE32+ file, which QEMU takes for `-kernel` and OVMF starts.
#[must_use]
pub fn resetting_application() -> Vec<u8> {
    let code_size = FILE_SIZE - HEADERS;
    let mut file = b"MZ".to_vec();
    file.resize(0x3c, 0);
    file.extend(PE_OFFSET.to_le_bytes());
    file.extend(b"PE\0\0");
    // COFF header: x86-64, one section, an executable.
    words(&mut file, &[0x8664, 1]);
    longs(&mut file, &[0, 0, 0]);
    words(&mut file, &[OPTIONAL_HEADER, 0x22]);
    let optional = file.len();
    words(&mut file, &[0x20b, 0]);
    // Code, data, entry point, base of code.
    longs(&mut file, &[code_size, 0, 0, CODE_RVA, CODE_RVA]);
    file.extend(0x40_0000u64.to_le_bytes());
    // Alignment of sections in memory and in the file.
    longs(&mut file, &[0x1000, 0x200]);
    words(&mut file, &[0; 6]);
    longs(&mut file, &[0, CODE_RVA + 0x1000, HEADERS, 0]);
    // An EFI application.
    words(&mut file, &[10, 0]);
    file.extend([0; 32]);
    longs(&mut file, &[0, 16]);
    file.resize(optional + usize::from(OPTIONAL_HEADER), 0);
    file.extend(b".text\0\0\0");
    longs(
        &mut file,
        &[
            code_size,
            CODE_RVA,
            code_size,
            HEADERS,
            0,
            0,
            0,
            0x6000_0020,
        ],
    );
    file.resize(HEADERS as usize, 0);
    file.extend(RESET);
    file.resize(FILE_SIZE as usize, 0);
    file
}

fn words(file: &mut Vec<u8>, values: &[u16]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn longs(file: &mut Vec<u8>, values: &[u32]) {
    file.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
