# shellcheck shell=bash
# The programs that the tree's scripts call: what is missing is installed by apt.

QEMU_MINIMUM=10

# The major version of the QEMU on the PATH; nothing if there is none.
qemu_major() {
    have qemu-system-x86_64 || return 0
    qemu-system-x86_64 --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p;q'
}

qemu_is_new_enough() {
    local major
    major=$(qemu_major)
    [ -n "$major" ] && [ "$major" -ge "$QEMU_MINIMUM" ]
}

# Prints what is missing: one "COMMAND PACKAGE..." a line.
missing_tools() {
    local command packages
    while read -r command packages; do
        have "$command" || echo "$command $packages"
    done <<'END'
make make
git git
cc gcc libc6-dev
python3 python3
flock util-linux
unshare util-linux
readelf binutils
xz xz-utils
shellcheck shellcheck
tpm2 tpm2-tools
swtpm swtpm
END
    qemu_is_new_enough || echo "qemu-system-x86_64 qemu-system-x86"
}

setup_host_tools() {
    local missing commands packages release=()
    missing=$(missing_tools)
    [ -n "$missing" ] || return 0
    commands=$(cut -d' ' -f1 <<<"$missing" | tr '\n' ' ')
    read -ra packages < <(cut -d' ' -f2- <<<"$missing" | tr '\n' ' ')
    apt_host_update
    # Backports only for QEMU, and only where the system's own is too old.
    if [[ $commands == *qemu* ]] && [ "$(qemu_candidate)" -lt "$QEMU_MINIMUM" ]; then
        release=(-t "$(os_release VERSION_CODENAME)-backports")
    fi
    say "installing ${packages[*]}"
    if ! as_root env APT_CONFIG="$APT_DIR/host/apt.conf" DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends "${release[@]}" install "${packages[@]}" \
        >"$APT_DIR/install.log" 2>&1; then
        tail -20 "$APT_DIR/install.log" >&2
        warn "apt could not install: ${packages[*]}. As root, run:
  env APT_CONFIG='$APT_DIR/host/apt.conf' apt-get install --no-install-recommends ${release[*]} ${packages[*]}"
        return 1
    fi
    if ! qemu_is_new_enough; then
        warn "QEMU $QEMU_MINIMUM or newer is needed; the PATH has version $(qemu_major)"
        return 1
    fi
}

# The major version that a plain install would give.
qemu_candidate() {
    local version
    version=$(apt_run host apt-cache policy qemu-system-x86 | sed -n 's/^ *Candidate: *\(.*\)/\1/p')
    version=${version#*:}
    version=${version%%.*}
    [[ $version =~ ^[0-9]+$ ]] && echo "$version" || echo 0
}
