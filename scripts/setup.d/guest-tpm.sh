# shellcheck shell=bash
# What the guest with a TPM has besides: the driver of the SVSM's TPM, and tpm2-tools.
#
# Debian's kernels leave that driver out (CONFIG_TCG_SVSM), so it is built here
# from the source of the very kernel, with the compiler and the headers that the
# kernel was made with: an unpacked system of Debian's packages, thrown away
# afterwards. The tools come from packages as well; nothing is installed.

# The driver's files below drivers/char/tpm in the kernel's source.
TPM_DRIVER_SOURCES=(tpm_svsm.c tpm.h)

# recorded_version NAME: what follows the name in versions.txt.
recorded_version() {
    sed -n "s/^$1 //p" "$GUEST/versions.txt" 2>/dev/null
}

# fetch_driver_source VERSION FOLDER: the driver's source of this version of the kernel.
fetch_driver_source() {
    local version=$1 folder=$2 series name file members=()
    series=$(cut -d. -f1,2 <<<"$version")
    name=linux-source-$series
    for file in "${TPM_DRIVER_SOURCES[@]}"; do
        members+=("$name/drivers/char/tpm/$file")
    done
    apt_guest_fetch "$name" "$version" "$GUEST/unpacked" || return 1
    mkdir -p "$folder"
    # --occurrence: the rest of the archive need not be read.
    tar -xf "$GUEST/unpacked/usr/src/$name.tar.xz" -C "$folder" --strip-components=4 --occurrence=1 "${members[@]}" || return 1
    rm -rf "$GUEST/unpacked"
}

# in_root FOLDER COMMAND...: runs a command of an unpacked system, without
# privileges where the kernel allows that. objtool reads /proc, and make /dev/null.
in_root() {
    local root=$1 script
    shift
    # shellcheck disable=SC2016 # for the shell inside
    script='mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /usr/bin/env -i PATH=/usr/bin:/usr/sbin LC_ALL=C "$@"'
    if unshare --user --map-root-user --mount true 2>/dev/null; then
        unshare --user --map-root-user --mount sh -c "$script" "$root" "$@"
    else
        as_root unshare --mount sh -c "$script" "$root" "$@"
    fi
}

# build_driver RELEASE VERSION: .cache/guest/extra/tpm_svsm.ko for this kernel.
build_driver() {
    local release=$1 version=$2 root=$GUEST/build log=$GUEST/driver-build.log compiler
    # The headers need gcc-14-for-host, which names the compiler and leaves the assembler out.
    compiler=$(apt_run guest apt-cache depends "linux-headers-$release=$version" |
        sed -n 's/.*Depends: \(gcc-[0-9]*\)-for-host.*/\1/p')
    apt_guest_root "$root" "linux-headers-$release=$version" "$compiler" make dash coreutils sed grep mawk findutils || return 1
    # What mawk's own set-up would have made.
    [ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
    fetch_driver_source "$version" "$root/driver" || return 1
    echo 'obj-m := tpm_svsm.o' >"$root/driver/Makefile"
    say "building the driver of the SVSM's TPM for Linux $release"
    if ! { in_root "$root" make -C "/usr/src/linux-headers-$release" M=/driver modules &&
        in_root "$root" strip --strip-debug /driver/tpm_svsm.ko; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        return 1
    fi
    mkdir -p "$GUEST/extra"
    mv "$root/driver/tpm_svsm.ko" "$GUEST/extra/tpm_svsm.ko"
    rm -rf "$root" "$log"
}

# Made anew when the kernel is another one.
setup_tpm_driver() {
    local kernel release version
    kernel=$(recorded_version vmlinuz)
    [ "$(recorded_version tpm_svsm.ko)" != "for $kernel" ] || [ ! -e "$GUEST/extra/tpm_svsm.ko" ] || return 0
    read -r release version <<<"$kernel"
    release=${release#linux-binary-}
    # Someone put both there by hand.
    [ -n "$release" ] || [ ! -e "$GUEST/extra/tpm_svsm.ko" ] || return 0
    [ -n "$release" ] || die "$GUEST/vmlinuz was not fetched by set-up, so the driver of the SVSM's TPM cannot be made.
  Put there: $(guest_part_help extra/tpm_svsm.ko)"
    apt_guest_update || die "the package lists cannot be read, and $GUEST/extra/tpm_svsm.ko is missing.
  Try again with a network, or put there: $(guest_part_help extra/tpm_svsm.ko)"
    build_driver "$release" "$version" || die "the driver of the SVSM's TPM could not be built"
    record_version tpm_svsm.ko "for $kernel"
}

setup_tpm_tools() {
    need_guest_part tpm2/usr/bin/tpm2 || return 0
    local found
    found=$(apt_guest_versions tpm2-tools trixie | tail -1)
    apt_guest_root "$GUEST/tpm2.new" "tpm2-tools=${found#* }" libtss2-tcti-device0t64 || die "the download of $found failed; run set-up again to go on"
    rm -rf "$GUEST/tpm2"
    mv "$GUEST/tpm2.new" "$GUEST/tpm2"
    record_version tpm2 "$found"
}
