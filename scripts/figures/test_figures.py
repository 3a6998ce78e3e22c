"""Tests: python3 -m unittest discover -s scripts -t scripts -p 'test_*.py'"""

import pathlib
import tempfile
import unittest

from . import catalogue, compare, lines, measure, table

CHECKED = {figure.key: 100 for figure in catalogue.every() if figure.checked}


class Compare(unittest.TestCase):
    """The baseline."""

    def test_a_tenth_worse_is_let_pass_and_more_is_not(self):
        self.assertEqual(list(compare.worse(CHECKED, CHECKED | {"lines": 110})), [])
        found = list(compare.worse(CHECKED, CHECKED | {"lines": 111}))
        self.assertEqual(len(found), 1)
        self.assertIn("111 instead of 100", found[0])

    def test_nothing_may_become_something(self):
        zero = CHECKED | {"rmpadjust_2m.launch": 0}
        self.assertEqual(len(list(compare.worse(zero, zero | {"rmpadjust_2m.launch": 1}))), 1)

    def test_a_missing_figure_fails(self):
        without = {key: value for key, value in CHECKED.items() if key != "lines"}
        self.assertEqual(len(list(compare.worse(CHECKED, without))), 1)
        self.assertEqual(len(list(compare.worse(without, CHECKED))), 1)

    def test_times_and_what_the_guest_does_are_not_compared(self):
        time = catalogue.time_key("rampart", 1)
        now = CHECKED | {time: 9.0, "vmgexits.os": 10**9}
        self.assertEqual(list(compare.worse(CHECKED | {time: 1.0, "vmgexits.os": 1}, now)), [])

    def test_better_is_said(self):
        self.assertEqual(len(list(compare.better(CHECKED, CHECKED | {"lines": 50}))), 1)


class Lines(unittest.TestCase):
    """The counter."""

    def count(self, **files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = pathlib.Path(folder, name.replace("__", "/") + ".rs")
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            return lines.count(pathlib.Path(folder))

    def test_comments_and_blanks_do_not_count(self):
        text = '//! a\n\n/* b\n /* c */ d\n*/ fn f() {} // e\n/// g\nconst A: &str = "// h";\n'
        self.assertEqual(self.count(lib=text), 2)

    def test_marks_inside_strings_are_no_comments(self):
        self.assertEqual(self.count(lib='const A: &str = r#"/* " "#;\nconst B: char = \'"\';\nfn f<\'a>() {}\n'), 3)
        self.assertEqual(self.count(lib="const A: &[u8] = b\"\\\" /*\";\nconst B: char = '\\'';\nfn f() {}\n"), 3)

    def test_tests_do_not_count(self):
        inline = "fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n"
        self.assertEqual(self.count(lib=inline), 2)
        files = {"lib": "mod a;\n#[cfg(test)]\nmod testing;\n", "testing__x": "fn x() {}\n", "a": "#[cfg(test)]\nmod tests;\nfn a() {}\n"}
        self.assertEqual(self.count(**files, a__tests="fn t() {}\n", testing="mod x;\n"), 2)

    def test_a_use_for_tests_ends_where_it_ends(self):
        self.assertEqual(self.count(lib="#[cfg(test)]\nuse a::{b, c};\nfn f() {}\n"), 1)

    def test_every_part_of_the_firmware_has_lines(self):
        found = measure.of_source()
        self.assertTrue(all(value > 100 for value in found.values()), found)


class Measure(unittest.TestCase):
    """What is read from the machine's counters."""

    def test_the_memory_is_what_the_kernel_says(self):
        self.assertEqual(measure.memory_kib(["x", "rampart: 4096 KiB kept, and 2048 KiB for the page map"]), (4096, 2048))
        with self.assertRaises(measure.Failed):
            measure.memory_kib(["x"])

    def test_a_call_that_was_not_made_is_an_error(self):
        with self.assertRaises(measure.Failed):
            measure.of_calls([])

    def test_a_phase_without_counters_counts_nothing(self):
        found = measure.of_boot({"launch_pages": {"measured": 4, "unmeasured": 1}, "phases": {}})
        self.assertEqual(found["launch_pages"], 5)
        self.assertEqual(found["to_guest.vmgexits"], 0)


class Table(unittest.TestCase):
    """The README."""

    README = "before\n" + table.BEGIN + "old\n" + table.END + "after\n"

    def test_only_what_is_between_the_marks_changes(self):
        made = table.replaced(self.README, CHECKED)
        self.assertTrue(made.startswith("before\n") and made.endswith("after\n"))
        self.assertNotIn("old", made)
        self.assertTrue(table.stands(made, CHECKED))
        self.assertFalse(table.stands(made, CHECKED | {"lines": 101}))

    def test_a_missed_goal_is_said(self):
        self.assertIn("missed", table.render({"instructions.null_call": 500}))
        self.assertNotIn("missed", table.render({"instructions.null_call": 499}))

    def test_the_times_stand_in_a_row_and_the_worst_of_them_counts(self):
        figures = {catalogue.time_key("rampart", vcpus): 2.0 for vcpus in catalogue.VCPUS}
        self.assertIn("| 2 × | 2 × | 2 × | 2 × | 3 times ✓ |", table.render(figures))
        worst = figures | {catalogue.time_key("rampart", 8): 3.1}
        self.assertIn("| 3.1 × | 3 times — **missed** |", table.render(worst))
        some = {catalogue.time_key("rampart", 1): 2.0}
        self.assertIn("| 2 × | – | – | – | 3 times |", table.render(some))

    def test_marks_are_needed(self):
        with self.assertRaises(ValueError):
            table.replaced("nothing", CHECKED)


if __name__ == "__main__":
    unittest.main()
