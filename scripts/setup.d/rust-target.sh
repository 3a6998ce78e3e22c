# shellcheck shell=bash
# core, alloc and compiler_builtins for x86_64-unknown-none, built here.
#
# The launch digest of an image hangs on every byte of these libraries, so they
# are not taken from wherever a toolchain has them: they are built from one
# source (its hash is pinned below), with one set of flags, without any path of
# this machine in them, into a sysroot of this tree. scripts/cargo-bare uses it.
# What rustup may have installed for the target is neither used nor touched.
#
# rustc is called directly: -Zbuild-std would resolve the whole of std's
# workspace (and ask a registry for it) to build these three crates.

RUST_VERSION=1.95.0
# Over the files that rust_source_hash lists. rustup's rust-src and Debian's
# differ elsewhere, but not in these.
RUST_SOURCE_SHA256=a60579c4eeb8064e48beb21f7832c4982a410dce60cf13c1365b2b73c208f06d

# Where a sysroot is made before it gets its name.
SYSROOT_NEW=$CACHE/rust/new

# The parts of library/ that the three crates are made of.
RUST_SOURCE_PARTS=(
    core/src
    alloc/src
    compiler-builtins/compiler-builtins
    compiler-builtins/libm/src
    portable-simd/crates/core_simd/src
    stdarch/crates/core_arch/src
)

# rust_source_hash LIBRARY: one hash over names and contents.
rust_source_hash() {
    (cd "$1" &&
        find "${RUST_SOURCE_PARTS[@]}" -type f -print0 |
        LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
}

# rust_source_is_right LIBRARY
rust_source_is_right() {
    [ -f "$1/core/src/lib.rs" ] && [ "$(rust_source_hash "$1")" = "$RUST_SOURCE_SHA256" ]
}

# Prints the folder of the library source; fetches it if need be.
rust_source() {
    local private=$CACHE/rust/src/library
    local toolchain
    toolchain=$(rustc --print sysroot)/lib/rustlib/src/rust/library
    if rust_source_is_right "$private"; then
        echo "$private"
        return
    fi
    if rust_source_is_right "$toolchain"; then
        echo "$toolchain"
        return
    fi
    if have rustup; then
        say "Rust library source: asking rustup for rust-src"
        if rustup component add rust-src >&2 && rust_source_is_right "$toolchain"; then
            echo "$toolchain"
            return
        fi
        say "rustup has it not; trying Debian's package"
    fi
    if apt_usable && rust_source_from_debian "$private"; then
        echo "$private"
        return
    fi
    die "no source of the Rust $RUST_VERSION library found.
  Install the component rust-src of that toolchain, or put the folder library/ of
  Rust $RUST_VERSION's source at $private"
}

# rust_source_from_debian LIBRARY: unpacks Debian's rust-src of exactly this version.
rust_source_from_debian() {
    local version unpacked=$CACHE/rust/unpacked
    apt_guest_update || return 1
    version=$(apt_guest_versions rust-src trixie-backports | awk -v want="$RUST_VERSION+" 'index($2, want) == 1 { print $2 }' | tail -1)
    [ -n "$version" ] || return 1
    rm -rf "$unpacked" "$CACHE/rust/src"
    apt_guest_fetch rust-src "$version" "$unpacked" || return 1
    mkdir -p "$CACHE/rust/src"
    mv "$unpacked/usr/src/rustc-$RUST_VERSION/library" "$1"
    rm -rf "$unpacked"
    if ! rust_source_is_right "$1"; then
        warn "Debian's rust-src $version is not the source this tree is pinned to"
        return 1
    fi
}

# The folder of the sysroot. Its name changes with the compiler, the source and
# the recipe, because cargo notices a change of the flags, but not of a library.
rust_sysroot() {
    local key
    key=$({
        cd "$ROOT" && rustc --version --verbose
        echo "source $RUST_SOURCE_SHA256"
        cat "$ROOT/scripts/setup.d/rust-target.sh"
    } | sha256sum) || return 1
    echo "$CACHE/rust/sysroot-${key:0:12}"
}

# build_rust_crate LIBRARY OUT NAME SOURCE FLAGS...
build_rust_crate() (
    local library=$1 out=$2 name=$3 source=$4 rustc
    shift 4
    rustc=$(rustc --print sysroot)/bin/rustc
    # RUSTC_BOOTSTRAP lets this compiler build its own library; nothing else in
    # the tree is built with it. The remapped path must not be rustc's own
    # /rustc/HASH: rustc maps that back to the local source where there is one.
    # The compiler is named by its path because rustup chooses by the current
    # folder, and that is the source's, so that no other gets into the metadata.
    cd "$library" && RUSTC_BOOTSTRAP=1 "$rustc" --crate-name "$name" "$source" \
        --edition=2024 --crate-type=rlib --target="$BARE_TARGET" \
        --sysroot="$SYSROOT_NEW" --out-dir="$out" \
        -Cmetadata=rampart-"$name" -Cextra-filename=-rampart \
        -Copt-level=3 -Cpanic=abort -Ccodegen-units=1 -Cdebuginfo=0 \
        -Cembed-bitcode=yes -Zforce-unstable-if-unmarked --cap-lints=allow \
        --remap-path-prefix="$library=/rust/library" "$@"
)

# compiler_builtins_flags LIBRARY SCRATCH: runs the crate's own build script, as
# cargo would, and prints one rustc argument a line. Variables for the crate's
# environment come as env=NAME=VALUE.
compiler_builtins_flags() {
    local library=$1 scratch=$2 line name
    local vars=(TARGET="$BARE_TARGET" OPT_LEVEL=3
        CARGO_FEATURE_COMPILER_BUILTINS=1 CARGO_FEATURE_MEM=1
        CARGO_FEATURE_RUSTC_DEP_OF_STD=1)
    while IFS= read -r line; do
        case $line in
        target_endian=* | target_os=* | target_arch=* | target_vendor=* | target_env=* | target_pointer_width=*)
            line=${line//\"/}
            name=${line%%=*}
            vars+=("CARGO_CFG_${name^^}=${line#*=}")
            ;;
        target_has_reliable_f16) vars+=(CARGO_CFG_TARGET_HAS_RELIABLE_F16=1) ;;
        target_has_reliable_f128) vars+=(CARGO_CFG_TARGET_HAS_RELIABLE_F128=1) ;;
        esac
    done < <(RUSTC_BOOTSTRAP=1 rustc --print cfg --target="$BARE_TARGET")
    rustc --edition=2024 --cap-lints=allow -o "$scratch/builtins-build" --crate-name build_script \
        "$library/compiler-builtins/compiler-builtins/build.rs" \
        --cfg 'feature="compiler-builtins"' --cfg 'feature="mem"' --cfg 'feature="rustc-dep-of-std"'
    env -i "${vars[@]}" "$scratch/builtins-build" | sed -n \
        -e 's/^cargo::\{0,1\}rustc-cfg=/--cfg=/p' \
        -e 's/^cargo::\{0,1\}rustc-env=/env=/p'
}

build_rust_sysroot() {
    local library=$1 sysroot=$2 configuration line
    local out=$SYSROOT_NEW/lib/rustlib/$BARE_TARGET/lib
    local flags=(--cfg 'feature="compiler-builtins"' --cfg 'feature="mem"'
        --cfg 'feature="rustc-dep-of-std"') environment=()
    rm -rf "$SYSROOT_NEW"
    mkdir -p "$out"
    configuration=$(compiler_builtins_flags "$library" "$SYSROOT_NEW" | LC_ALL=C sort)
    while IFS= read -r line; do
        case $line in
        env=*) environment+=("${line#env=}") ;;
        *) flags+=("$line") ;;
        esac
    done <<<"$configuration"
    say "building core for $BARE_TARGET (once, about 15 s)"
    build_rust_crate "$library" "$out" core core/src/lib.rs
    say "building compiler_builtins"
    (
        export "${environment[@]:?"compiler_builtins' build script said nothing"}"
        build_rust_crate "$library" "$out" compiler_builtins \
            compiler-builtins/compiler-builtins/src/lib.rs "${flags[@]}"
    )
    say "building alloc"
    build_rust_crate "$library" "$out" alloc alloc/src/lib.rs \
        --cfg 'feature="compiler-builtins-mem"'
    rm -f "$SYSROOT_NEW/builtins-build"
    rm -rf "$CACHE"/rust/sysroot-*
    mv "$SYSROOT_NEW" "$sysroot"
}

check_rust_version() {
    if ! have rustc || ! have cargo; then
        die "no Rust found. Install Rust $RUST_VERSION (rustup, or a distribution's rustc and cargo of that version) so that rustc and cargo are on the PATH"
    fi
    local version
    version=$(cd "$ROOT" && rustc --version) ||
        die "rustc does not start. rust-toolchain.toml asks for Rust $RUST_VERSION: with rustup, run: rustup toolchain install $RUST_VERSION"
    case $version in
    "rustc $RUST_VERSION "*) ;;
    *) die "this tree is built with Rust $RUST_VERSION, but rustc says: $version" ;;
    esac
    case $version in
    *"built from"*) warn "this rustc is a distribution's build ($version): images may differ in bytes from those of the upstream compiler, and so may their launch digests" ;;
    esac
}

setup_rust_target() {
    local library sysroot
    check_rust_version
    sysroot=$(rust_sysroot)
    [ ! -d "$sysroot" ] || return 0
    library=$(cd "$ROOT" && rust_source)
    (cd "$ROOT" && build_rust_sysroot "$library" "$sysroot")
    say "the Rust target is ready"
}
