# shellcheck shell=bash
# What the guest is made of, as distributions ship it: OVMF, Linux, busybox.
#
# They are taken out of packages and never installed. A version that has moved
# on is taken as it is; .cache/guest/versions.txt says which it was.

GUEST=$CACHE/guest

# The series that the tests were written with; if the suite has dropped it, the
# newest kernel is taken.
LINUX_SERIES=7.3

record_version() {
    local name=$1 text=$2
    touch "$GUEST/versions.txt"
    {
        grep -v "^$name " "$GUEST/versions.txt" || true
        echo "$name $text"
    } | sort >"$GUEST/versions.txt.new"
    mv "$GUEST/versions.txt.new" "$GUEST/versions.txt"
}

# The parts, and what one puts there where they cannot be fetched.
guest_part_help() {
    case $1 in
    OVMF.fd) echo "OVMF of edk2 2026.08 or newer: one 4 MiB image of code and variables" ;;
    vmlinuz) echo "Linux $LINUX_SERIES or newer for x86-64 with AMD_MEM_ENCRYPT; its .ko files in $GUEST/modules" ;;
    busybox) echo "a static busybox for x86-64" ;;
    tpm2/usr/bin/tpm2) echo "the program tpm2 of tpm2-tools 5.7 or newer, with its libraries below $GUEST/tpm2/usr/lib" ;;
    extra/tpm_svsm.ko) echo "the module of drivers/char/tpm/tpm_svsm.c for that kernel" ;;
    esac
}

# need_guest_part FILE: true if the part must be fetched; ends set-up where it
# cannot be.
need_guest_part() {
    [ "${REFRESH:-}" ] || [ ! -e "$GUEST/$1" ] || return 1
    apt_guest_update || die "the package lists cannot be read, and $GUEST/$1 is missing.
  Try again with a network, or put there: $(guest_part_help "$1")"
    mkdir -p "$GUEST"
    rm -rf "$GUEST/unpacked"
}

# fetch_newest REGEX SUITE: the newest package that matches, unpacked
# into .cache/guest/unpacked; prints "PACKAGE VERSION".
fetch_newest() {
    local found
    found=$(apt_guest_versions "$1" "$2" | tail -1)
    [ -n "$found" ] || die "the suite $2 has no package that matches $1"
    # shellcheck disable=SC2086 # two words
    apt_guest_fetch $found "$GUEST/unpacked" || die "the download of $found failed; run set-up again to go on"
    echo "$found"
}

setup_ovmf() {
    need_guest_part OVMF.fd || return 0
    local found
    found=$(fetch_newest ovmf-generic sid)
    cp "$GUEST/unpacked/usr/share/ovmf/OVMF.fd" "$GUEST/OVMF.fd.new"
    mv "$GUEST/OVMF.fd.new" "$GUEST/OVMF.fd"
    rm -rf "$GUEST/unpacked"
    record_version OVMF.fd "$found"
}

setup_linux() {
    need_guest_part vmlinuz || return 0
    local suite=trixie-backports series package version release
    series=$(apt_guest_versions 'linux-binary-[0-9].*-cloud-amd64' "$suite")
    if grep -q "^linux-binary-${LINUX_SERIES//./\\.}\." <<<"$series"; then
        series=$(grep "^linux-binary-${LINUX_SERIES//./\\.}\." <<<"$series")
    else
        warn "Linux $LINUX_SERIES is not in $suite any more; taking the newest"
    fi
    read -r package version < <(tail -1 <<<"$series")
    [ -n "$package" ] || die "the suite $suite has no package linux-binary-*-cloud-amd64"
    release=${package#linux-binary-}
    apt_guest_fetch "linux-modules-$release" "$version" "$GUEST/unpacked" || die "the download of linux-modules-$release failed; run set-up again to go on"
    apt_guest_fetch "$package" "$version" "$GUEST/unpacked" || die "the download of $package failed; run set-up again to go on"
    rm -rf "$GUEST/modules"
    mv "$GUEST/unpacked/usr/lib/modules/$release/kernel" "$GUEST/modules"
    mv "$GUEST/unpacked/usr/lib/modules/$release/vmlinuz" "$GUEST/vmlinuz"
    rm -rf "$GUEST/unpacked"
    record_version vmlinuz "$package $version"
}

setup_busybox() {
    need_guest_part busybox || return 0
    local found
    found=$(fetch_newest busybox-static trixie)
    find "$GUEST/unpacked" -type f -name busybox -perm -u+x -exec mv {} "$GUEST/busybox" \;
    rm -rf "$GUEST/unpacked"
    [ -e "$GUEST/busybox" ] || die "the package busybox-static has no busybox"
    record_version busybox "$found"
}

# make_initramfs FILE OPTIONS SOURCE...: made anew when a source is newer.
make_initramfs() {
    local image=$GUEST/$1 options=$2 source
    shift 2
    if [ -f "$image" ]; then
        for source in "$ROOT"/tests/linux/* "$ROOT/scripts/make-guest-image" "$GUEST/busybox" "$GUEST/modules" "$@"; do
            [ "$source" -nt "$image" ] && break
            source=
        done
        [ -n "$source" ] || return 0
    fi
    say "making the guest's ${image##*/}"
    # shellcheck disable=SC2086 # none or one word
    "$ROOT/scripts/make-guest-image" $options --out "$image" >&2
}

setup_guest() {
    setup_ovmf
    setup_linux
    setup_busybox
    make_initramfs initramfs.cpio.gz ""
    setup_tpm_driver
    setup_tpm_tools
    make_initramfs initramfs-tpm.cpio.gz --tpm "$ROOT"/tests/linux/tpm/* "$GUEST/extra" "$GUEST/tpm2"
}
