# shellcheck shell=bash
# Public TPM test suites, in .cache/suites: scripts/vtpm-suite runs them.
#
#   pytss   tpm2-pytss, from PyPI, in a Python environment of its own
#   tss     tpm2-tss' integration tests, from Debian's source package, built here
#   tools   tpm2-tools' integration scripts, from Debian's source package

SUITES=$CACHE/suites
PYTSS_VERSION=2.3.0
TSS_VERSION=4.1.3

# install_for_suite PACKAGE...: those that are missing.
install_for_suite() {
    local package wanted=()
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
    done
    [ ${#wanted[@]} -gt 0 ] || return 0
    apt_host_update
    say "installing ${wanted[*]}"
    if ! as_root env APT_CONFIG="$APT_DIR/host/apt.conf" DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install "${wanted[@]}" >"$APT_DIR/install.log" 2>&1; then
        tail -20 "$APT_DIR/install.log" >&2
        die "apt could not install: ${wanted[*]}"
    fi
}

# fetch_source PACKAGE SUITE FOLDER: the newest source of the suite (or of the
# version, for =VERSION in place of the suite's name), unpacked without Debian's
# changes. Fails where it cannot be had.
fetch_source() {
    local package=$1 suite=$2 folder=$3 dir=$APT_DIR/source mirror keyring archive
    mirror=$(apt_mirror) || return 1
    keyring=$(apt_keyring) || return 1
    echo "deb-src [signed-by=$keyring] $mirror $suite main" | apt_configure source -
    apt_update source || return 1
    rm -rf "$dir/download" "$folder.new"
    mkdir -p "$dir/download" "$folder.new"
    (cd "$dir/download" && apt_run source apt-get -q source --download-only "$package" >log 2>&1) || {
        grep '^E:' "$dir/download/log" | head -3 >&2
        rm -rf "$folder.new"
        return 1
    }
    archive=$(find "$dir/download" -name '*.orig.tar.*' ! -name '*.asc' | head -1)
    [ -n "$archive" ] || return 1
    tar -xf "$archive" -C "$folder.new" --strip-components=1
    rm -rf "$folder" "$dir/download"
    mv "$folder.new" "$folder"
}

setup_suite_pytss() {
    local folder=$SUITES/tpm2-pytss-$PYTSS_VERSION python=$SUITES/python
    [ ! -f "$folder/complete" ] || return 0
    install_for_suite gcc libc6-dev python3-dev python3-venv pkg-config libtss2-dev libtss2-tcti-swtpm0 libtss2-tcti-mssim0
    mkdir -p "$SUITES"
    say "getting tpm2-pytss $PYTSS_VERSION (builds for half a minute)"
    rm -rf "$folder" "$python"
    python3 -m venv "$python"
    "$python/bin/pip" install --quiet --disable-pip-version-check \
        "tpm2-pytss==$PYTSS_VERSION" 'cryptography<43' pytest pytest-timeout
    "$python/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary tpm2-pytss \
        --dest "$SUITES" "tpm2-pytss==$PYTSS_VERSION"
    tar -xzf "$SUITES/tpm2-pytss-$PYTSS_VERSION.tar.gz" -C "$SUITES"
    # The tests must find the package that was built, and not this folder's.
    rm -rf "$folder/src"
    touch "$folder/complete"
}

setup_suite_tss() {
    local folder=$SUITES/tpm2-tss-$TSS_VERSION log=$SUITES/tss-build.log
    [ ! -f "$folder/built" ] || return 0
    install_for_suite gcc libc6-dev make pkg-config autoconf autoconf-archive automake libtool libltdl-dev \
        libcmocka-dev libssl-dev libjson-c-dev libcurl4-openssl-dev uuid-dev uthash-dev libtpms-dev acl \
        iproute2 openssl procps swtpm
    mkdir -p "$SUITES"
    say "getting tpm2-tss $TSS_VERSION"
    fetch_source tpm2-tss trixie "$folder" || die "the source package of tpm2-tss cannot be had from this system's mirror"
    say "building tpm2-tss and its tests (some minutes)"
    # Debian's archive has no .git to ask for the version.
    if ! (cd "$folder" && sed -i '/^git describe/d' bootstrap && echo "$TSS_VERSION" >VERSION &&
        ./bootstrap &&
        ./configure --enable-integration --disable-doxygen-doc --disable-static --disable-tcti-libtpms \
            --disable-tcti-spi-ftdi --disable-tcti-i2c-ftdi --disable-tcti-spi-ltt2go CFLAGS=-O1 &&
        make -j"$(nproc)" && make -j"$(nproc)" check TESTS=) >"$log" 2>&1 </dev/null; then
        tail -20 "$log" >&2
        die "the build of tpm2-tss failed; its log is .cache/suites/tss-build.log"
    fi
    touch "$folder/built"
}

setup_suite_tools() {
    local folder=$SUITES/tpm2-tools bin=$SUITES/tools-bin codename
    [ ! -d "$folder/test/integration/tests" ] || return 0
    install_for_suite tpm2-tools tpm2-abrmd dbus libtss2-tcti-tabrmd0 libtss2-tcti-mssim0 libtss2-tcti-swtpm0 \
        python3-yaml xxd expect bc jq openssl swtpm
    mkdir -p "$bin" "$folder"
    # The scripts call "python", and the system's has yaml.
    ln -sf /usr/bin/python3 "$bin/python"
    ln -sf /usr/bin/python3 "$bin/python3"
    codename=$(os_release VERSION_CODENAME)
    say "getting the scripts of tpm2-tools"
    if ! fetch_source tpm2-tools "$codename" "$folder"; then
        echo "the mirror of this system has no source package of tpm2-tools" >"$folder/unavailable"
        warn "$(cat "$folder/unavailable")"
    fi
}

# setup_suite NAME
setup_suite() {
    apt_usable || die "the test suites are set up on a Debian-like system only"
    case $1 in
    pytss | tss | tools) "setup_suite_$1" ;;
    *) die "there is no suite $1; there are: pytss tss tools" ;;
    esac
}
