"""Tests: python3 -m unittest discover -s scripts -t scripts -p 'test_*.py'"""

import concurrent.futures
import pathlib
import tempfile
import unittest
from unittest import mock

from . import servers


class Folder(unittest.TestCase):
    """The folder that a suite's PATH begins with."""

    def test_cases_that_run_at_once_may_all_ask_for_it(self):
        with tempfile.TemporaryDirectory() as name:
            home = pathlib.Path(name)
            tools = [home / "bin" / f"tpm2_{number}" for number in range(200)]
            (home / "bin").mkdir()
            for file in [*tools, home / "bin/tpm2", home / "server"]:
                file.touch()
            with (
                mock.patch.object(servers, "OUT", home / "out"),
                mock.patch.object(servers, "program", return_value=home / "server"),
                mock.patch("shutil.which", return_value=str(home / "bin/tpm2")),
                concurrent.futures.ThreadPoolExecutor(8) as pool,
            ):
                folders = set(pool.map(servers.folder, [servers.VTPM] * 8))
            self.assertEqual(len(folders), 1)
            links = {link.name for link in folders.pop().iterdir()}
            self.assertEqual(links, {tool.name for tool in tools} | {"tpm2", "tpm_server"})


if __name__ == "__main__":
    unittest.main()
