"""Files are put in place whole: links are followed, leftovers of killed processes go, pipes and devices are refused."""

import os
import socket
import subprocess
import sys

import pytest

from tnsim.errors import FileError
from tnsim.io.atomic import check_writable, older, replace_file


def write(path, text, **options):
    replace_file(path, lambda target: target.write_text(text), **options)


def dead_process() -> int:
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(os.name != "posix", reason="processes are asked after on POSIX only")
def test_leftovers_of_dead_processes_on_this_host_go(tmp_path):
    here, dead = socket.gethostname(), dead_process()
    gone = [f"run.h5.tmp.{here}.{dead}", f"run.h5.tmp.link.{here}.{dead}", f"run.h5.tmp.{here}.{10**30}"]
    kept = [
        f"run.h5.tmp.{here}.{os.getppid()}", f"run.h5.tmp.elsewhere.{dead}", f"other.h5.tmp.{here}.{dead}",
        f"xrun.h5.tmp.{here}.{dead}", f"run.h5.tmp.{here}.{dead}.txt", "run.h5.tmp",
    ]  # fmt: skip
    for name in gone + kept:
        (tmp_path / name).write_text("left")
    write(tmp_path / "run.h5", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "run.h5"])


def test_the_target_of_a_link_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "data").mkdir()
    link, target = tmp_path / "run.h5", tmp_path / "data" / "real.h5"
    link.symlink_to(tmp_path / "middle.h5")
    (tmp_path / "middle.h5").symlink_to(target)
    check_writable(link)
    write(link, "first", keep=2)
    write(link, "second", keep=2)
    assert link.is_symlink()
    assert target.read_text() == link.read_text() == "second"
    assert older(link, 1).read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "middle.h5", "run.h5"]
    assert sorted(path.name for path in target.parent.iterdir()) == ["real.h5", "real.h5.1"]


def test_a_link_that_cannot_be_followed_is_refused(tmp_path):
    lost = tmp_path / "lost.h5"
    lost.symlink_to(tmp_path / "absent" / "run.h5")
    with pytest.raises(FileError, match="absent does not exist"):
        check_writable(lost)


def test_pipes_and_devices_are_refused(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(os.devnull)
    for path in (pipe, link):
        with pytest.raises(FileError, match=f"{path.name} is a pipe or a device"):
            check_writable(path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]
