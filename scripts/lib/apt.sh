# shellcheck shell=bash
# apt with a configuration of this tree's own, so that the system's sources and
# lists stay as they are. Two of them:
#
#   host   the system's own sources and its backports, to install tools from;
#   guest  named suites, from which packages are only downloaded (apt checks the
#          signatures) and unpacked under .cache, never installed.
#
# The mirror is the system's own; RAMPART_MIRROR overrides it.

GUEST_SUITES=(trixie trixie-backports sid)
APT_DIR=$CACHE/apt

# True where apt can be used for this: a Debian-like system.
apt_usable() {
    have apt-get && have dpkg-deb
}

os_release() {
    # shellcheck disable=SC1091 # the system's file
    (. /etc/os-release 2>/dev/null && eval "echo \"\${$1:-}\"")
}

# The base address of the Debian mirror, without a slash at its end.
apt_mirror() {
    local uri base=
    if [ -n "${RAMPART_MIRROR:-}" ]; then
        echo "${RAMPART_MIRROR%/}"
        return
    fi
    [ "$(os_release ID)" = debian ] || return 1
    # Both formats of the system's sources, as apt itself reads them:
    # 'ADDRESS/dists/SUITE/InRelease' NAME 0
    while IFS= read -r uri; do
        case $uri in
        */dists/*-security/* | */dists/*/updates/*) continue ;;
        */debian/dists/*)
            base=${uri%%/dists/*}
            break
            ;;
        */dists/*) base=${base:-${uri%%/dists/*}} ;;
        esac
    done < <(apt-get update --print-uris 2>/dev/null | sed -n "s/^'\([^']*\)'.*/\1/p")
    [ -n "$base" ] && echo "$base"
}

# The file with the keys of Debian's archive.
apt_keyring() {
    local file
    for file in "$CACHE"/apt/keyring/usr/share/keyrings/debian-archive-keyring.{gpg,pgp} \
        /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        if [ -e "$file" ]; then
            echo "$file"
            return
        fi
    done
    return 1
}

# apt_run KIND COMMAND...: any apt program with the configuration KIND.
apt_run() {
    local kind=$1
    shift
    APT_CONFIG=$APT_DIR/$kind/apt.conf DEBIAN_FRONTEND=noninteractive "$@"
}

# apt_configure KIND PARTS: PARTS is the folder of further source lists, or "-".
# The lines of the source list come on standard input.
apt_configure() {
    local kind=$1 parts=$2 dir=$APT_DIR/$1
    mkdir -p "$dir/lists/partial" "$dir/archives/partial"
    cat >"$dir/sources.list"
    cat >"$dir/apt.conf" <<END
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "$parts";
Dir::State::lists "$dir/lists";
Dir::Cache::archives "$dir/archives";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::PDiffs "false";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
END
}

apt_configure_guest() {
    local mirror keyring suite
    mirror=$(apt_mirror) || die "no Debian mirror is known here: this system's apt sources name none.
  Set RAMPART_MIRROR to the address of a Debian mirror (the part before /dists)"
    keyring=$(apt_keyring) || die "the keys of Debian's archive are missing: install the package debian-archive-keyring"
    for suite in "${GUEST_SUITES[@]}"; do
        echo "deb [arch=amd64 signed-by=$keyring] $mirror $suite main"
    done | apt_configure guest -
    # The guest is of this kind whatever the host is.
    echo 'APT::Architecture "amd64";' >>"$APT_DIR/guest/apt.conf"
}

# apt_update KIND: progress only if it fails.
apt_update() {
    local log=$APT_DIR/$1/update.log
    say "reading the package lists ($1)"
    if ! apt_run "$1" apt-get -q update >"$log" 2>&1 || grep -q '^[EW]: .*\(NO_PUBKEY\|Failed to fetch\)' "$log"; then
        return 1
    fi
}

apt_guest_update() {
    [ -z "${APT_GUEST_UPDATED:-}" ] || return 0
    apt_configure_guest
    if ! apt_update guest; then
        if grep -q 'NO_PUBKEY\|not signed\|verif' "$APT_DIR/guest/update.log"; then
            apt_refresh_keyring
            apt_configure_guest
            apt_update guest || true
        fi
    fi
    if grep '^[EW]:' "$APT_DIR/guest/update.log" >&2; then
        warn "not every package list could be read"
        return 1
    fi
    APT_GUEST_UPDATED=1
}

# The keys of newer suites come in a newer keyring package, which the system's
# own suites carry and sign.
apt_refresh_keyring() {
    local deb
    say "the system's archive keys are too old; taking the newest that its own sources offer"
    apt_host_update
    (cd "$APT_DIR" && apt_run host apt-get -q download debian-archive-keyring >&2)
    deb=$(find "$APT_DIR" -maxdepth 1 -name 'debian-archive-keyring_*.deb' | sort -V | tail -1)
    [ -n "$deb" ] || return 1
    rm -rf "$APT_DIR/keyring"
    dpkg-deb -x "$deb" "$APT_DIR/keyring"
    rm -f "$deb"
}

apt_host_update() {
    local mirror keyring codename
    [ -z "${APT_HOST_UPDATED:-}" ] || return 0
    codename=$(os_release VERSION_CODENAME)
    {
        cat /etc/apt/sources.list 2>/dev/null || true
        echo
        if [ "$(os_release ID)" = debian ] && mirror=$(apt_mirror) && keyring=$(apt_keyring); then
            case $codename in
            "" | sid) ;;
            *) echo "deb [signed-by=$keyring] $mirror $codename-backports main" ;;
            esac
        fi
    } | apt_configure host /etc/apt/sources.list.d
    if ! apt_update host; then
        # A suite may have no backports, and one list that fails is not the end.
        warn "not every package list could be read: $(grep -m1 '^[EW]:' "$APT_DIR/host/update.log" || true)"
    fi
    APT_HOST_UPDATED=1
}

# apt_guest_versions REGEX SUITE: "PACKAGE VERSION" of every package of the suite
# whose whole name matches, oldest first.
apt_guest_versions() {
    local names
    mapfile -t names < <(apt_run guest apt-cache pkgnames | grep -Ex "$1")
    [ ${#names[@]} -gt 0 ] || return 0
    apt_run guest apt-cache madison "${names[@]}" | awk -v suite="$2/main" -F ' *[|] *' '
        { gsub(/ /, "", $1); split($3, where, " "); if (where[2] == suite) print $1, $2 }' | sort -V -k1,1 -k2,2
}

# apt_guest_fetch PACKAGE VERSION FOLDER: downloads the package, checks it against
# the signed list, and unpacks it into the folder.
apt_guest_fetch() {
    local package=$1 version=$2 folder=$3 download=$APT_DIR/guest/download
    local uri file size hash
    read -r uri file size hash < <(apt_run guest apt-get -q download --print-uris "$package=$version")
    [ -n "${hash:-}" ] || return 1
    mkdir -p "$download"
    say "downloading $package $version ($(((size + 999999) / 1000000)) MB)"
    # Not "apt-get download": this one goes on where a broken-off download stopped.
    (cd "$download" && apt_run guest /usr/lib/apt/apt-helper -q \
        download-file "${uri//\'/}" "$file" "$hash" >log 2>&1) || {
        cat "$download/log" >&2
        return 1
    }
    mkdir -p "$folder"
    dpkg-deb -x "$download/$file" "$folder"
    rm -f "${download:?}/$file"
}

# apt_guest_root FOLDER PACKAGE[=VERSION]...: the packages and all they need, from
# trixie where no other version is named, unpacked over each other into the
# folder. Nothing of them is run; their own set-up scripts neither.
apt_guest_root() {
    local folder=$1 archives=$APT_DIR/guest/root deb name
    shift
    mkdir -p "$archives/partial"
    : >"$archives/status"
    say "downloading ${*%%=*} with what they need"
    apt_run guest apt-get -q -y --no-install-recommends --download-only \
        -o Dir::State::status="$archives/status" -o Dir::Cache::archives="$archives" \
        -o APT::Default-Release=trixie install "$@" >"$archives/log" 2>&1 || {
        grep '^E:' "$archives/log" >&2
        return 1
    }
    rm -rf "$folder"
    mkdir -p "$folder/usr" "$folder/proc" "$folder/dev"
    # Without these links the packages would make two trees of it.
    for name in bin sbin lib lib64; do
        mkdir "$folder/usr/$name"
        ln -s "usr/$name" "$folder/$name"
    done
    for deb in "$archives"/*.deb; do
        dpkg-deb -x "$deb" "$folder" || return 1
    done
    rm -rf "$archives"
}
