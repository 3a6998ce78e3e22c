# shellcheck shell=bash
# Steps of scripts/test, and their sum.

LOGS=$ROOT/target/test-logs
mkdir -p "$LOGS"
PASSED=0
FAILED=0
FAILURES=()

# log_of NAME: the file for a step's output.
log_of() {
    local name=${1//[^a-zA-Z0-9]/-}
    echo "$LOGS/$name.log"
}

failed() {
    FAILED=$((FAILED + ${2:-1}))
    FAILURES+=("$1")
}

# step NAME COMMAND...: one test; its output is shown only if it fails.
step() {
    local name=$1 log begin=$SECONDS
    shift
    log=$(log_of "$name")
    say "$name ..."
    if "$@" >"$log" 2>&1 </dev/null; then
        PASSED=$((PASSED + 1))
        say "$name: ok ($((SECONDS - begin)) s)"
    else
        failed "$name"
        cat "$log"
        say "$name: FAILED ($((SECONDS - begin)) s)"
    fi
}

# cargo_tests NAME COMMAND...: counts the tests that cargo ran. A run that fails
# without a failed test (it did not compile, or crashed) is one failure.
cargo_tests() {
    local name=$1 log begin=$SECONDS status=0 passed failed
    shift
    log=$(log_of "$name")
    say "$name ..."
    "$@" </dev/null 2>&1 | tee "$log" | show_cargo_progress || status=$?
    passed=$(sum_of passed "$log")
    failed=$(sum_of failed "$log")
    PASSED=$((PASSED + passed))
    if [ "$failed" -gt 0 ]; then
        failed "$name ($failed)" "$failed"
    elif [ "$status" != 0 ]; then
        failed "$name: the run itself"
        [ "$passed" != 0 ] || tail -50 "$log"
    elif [ "$passed" = 0 ]; then
        failed "$name: no test ran"
    fi
    say "$name: $passed passed, $failed failed ($((SECONDS - begin)) s)"
}

# A line for every test binary and everything about failures, not every name.
show_cargo_progress() {
    awk '/^ +(Compiling|Running|Doc-tests)/ { if (/Running|Doc-tests/) print; next }
        /^test .* \.\.\. ok$/ { next }
        /^test .*has been running/ { next }
        /^ *(Downloaded|Downloading|Finished|Blocking)/ { next }
        NF { print; fflush() }'
}

# sum_of WORD LOG: of all lines "test result: ok. 3 passed; 0 failed; ...".
sum_of() {
    awk -v word="$1" '/^test result: / { for (i = 2; i <= NF; i++) if ($i == word ";") sum += $(i - 1) } END { print sum + 0 }' "$2"
}

# The last words: the sum, alone on its line, and the exit status.
finish() {
    local failure
    for failure in "${FAILURES[@]}"; do
        say "FAILED: $failure"
    done
    say "logs are in target/test-logs"
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
}
