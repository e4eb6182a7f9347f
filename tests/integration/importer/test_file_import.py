"""Files, brought into a real Bongsu."""

import gzip
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.support.importing import destination
from tests.support.processes import interruptible, wait_for
from tests.support.prometheus import now_ms, series_text

HOUR_MS = 3_600_000


def test_a_killed_import_continues_and_misses_nothing(tmp_path: Path) -> None:
    start_ms = (now_ms() - HOUR_MS) // 1_000 * 1_000
    dump, state = tmp_path / "dump.gz", tmp_path / "dump.gz.bongsu-import.json"
    times, series = 400, 250
    with gzip.open(dump, "wt") as stream:
        for index in range(times):
            seconds = start_ms / 1000 + index
            stream.write("# TYPE m gauge\n")
            stream.writelines(f'm{{instance="a:1",n="{n}"}} {index + n / 1000} {seconds:.3f}\n' for n in range(series))
        stream.write("# EOF\n")
    words = ("openmetrics", str(dump), "--batch", "1000")
    with destination(tmp_path) as bongsu:
        offset = 0
        for _ in range(2):
            process = subprocess.Popen(bongsu.words(*words), env=bongsu.environment, stderr=subprocess.PIPE)

            def is_further(process: "subprocess.Popen[bytes]" = process, offset: int = offset) -> bool:
                assert process.poll() is None, process.communicate()
                position = json.loads(state.read_text())["position"] if state.exists() else None
                return position is not None and position["offset"] > offset

            wait_for(is_further, "a part of the import")
            process.kill()
            process.communicate()
            offset = json.loads(state.read_text())["position"]["offset"]
        done = bongsu.run(*words)
        assert done.returncode == 0, done.stderr
        counts = json.loads(state.read_text())["counts"]
        assert counts["read"] == counts["stored"] == times * series
        assert counts["lines"] == times * (series + 1) + 1
        expected = {
            series_text({"__name__": "m", "instance": "a:1", "n": str(n)}): {
                start_ms + 1_000 * index: index + n / 1000 for index in range(times)
            }
            for n in range(series)
        }
        wait_for(lambda: bongsu.samples(start_ms - 1, start_ms + times * 1_000) == expected, "the same samples")


def test_ctrl_c_ends_it_and_says_how_to_continue(tmp_path: Path) -> None:
    seconds = now_ms() // 1000 - 3_000
    dump, state = tmp_path / "dump", tmp_path / "dump.bongsu-import.json"
    with dump.open("w") as stream:
        stream.writelines(
            f'm{{instance="a",n="{n}"}} 1 {seconds + index}\n' for index in range(1_000) for n in range(100)
        )
    with destination(tmp_path) as bongsu:
        words = bongsu.words("openmetrics", str(dump), "--batch", "100")
        process = subprocess.Popen(
            words, env=bongsu.environment, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
        )
        wait_for(lambda: state.exists() and json.loads(state.read_text())["position"], "a part of the import")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
        assert process.returncode == 130
        assert told.startswith("Interrupted at line ")
        assert f"The same command continues from there ({state})" in told


def test_line_protocol_with_bad_lines_and_texts(tmp_path: Path) -> None:
    ns = (now_ms() - HOUR_MS) * 1_000_000
    file = tmp_path / "export.lp"
    file.write_bytes(
        b"# DML\n"
        + f'cpu,host=web-1,cpu=cpu0 usage_idle=97.5,usage_user=2i,up=true,note="fine, so far" {ns}\n'.encode()
        + f"mem,host=web-1 used=5u {ns}\n".encode()
        + b"\0\1\2garbage\nno time=1\n"
    )
    with destination(tmp_path) as bongsu:
        done = bongsu.run("influx", str(file))
        assert done.returncode == 1
        assert done.stderr.splitlines()[0].startswith("line 4 is left out: ")
        assert "4 samples read, 4 stored, 0 refused" in done.stdout
        assert "5 lines, 2 of them left out as malformed; 1 texts left out" in done.stdout
        time_ms = ns // 1_000_000
        host, cpu = {"instance": "web-1"}, {"instance": "web-1", "cpu": "cpu0"}
        expected = {
            series_text({"__name__": "cpu_usage_idle"} | cpu): {time_ms: 97.5},
            series_text({"__name__": "cpu_usage_user"} | cpu): {time_ms: 2},
            series_text({"__name__": "cpu_up"} | cpu): {time_ms: 1},
            series_text({"__name__": "mem_used"} | host): {time_ms: 5},
        }
        wait_for(lambda: bongsu.samples(time_ms - 1, time_ms + 1) == expected, "the samples")


def test_what_bongsu_refuses_is_told_and_the_rest_is_stored(tmp_path: Path) -> None:
    now = now_ms() // 1000
    dump = tmp_path / "dump"
    days_ago = [f'm{{instance="a"}} {day} {now - day * 86_400}\n' for day in range(30, 0, -1)]
    control = f'm{{instance="a",x="\\n"}} 1 {now}\n'
    dump.write_text("".join([*days_ago, control]))
    with destination(tmp_path) as bongsu:
        done = bongsu.run("openmetrics", str(dump), "--batch", "4")
        assert done.returncode == 1
        assert "31 samples read, 7 stored, 24 refused" in done.stdout
        assert "too_old 23, invalid_label 1" in done.stdout
        assert done.stderr.count("retention_raw") == 1
        assert "older ones are counted" in done.stderr.lower()

        other = bongsu.run("influx", str(dump), "--state", str(tmp_path / "dump.bongsu-import.json"))
        assert other.returncode == 2
        assert "belongs to another import" in other.stderr

        refused = subprocess.run(
            bongsu.words("openmetrics", str(dump), "--restart"),
            env=os.environ | {"BONGSU_IMPORT_TOKEN": "bongsu_api_wrong"},
            capture_output=True,
            text=True,
        )
        assert refused.returncode == 1
        assert "refuses the token" in refused.stderr


def test_a_bongsu_that_restarts_meanwhile_is_waited_for(tmp_path: Path) -> None:
    seconds = now_ms() // 1000 - 3_000
    dump, state = tmp_path / "dump", tmp_path / "dump.bongsu-import.json"
    with dump.open("w") as stream:
        stream.writelines(
            f'm{{instance="a",n="{n}"}} 1 {seconds + index}\n' for index in range(600) for n in range(100)
        )
    with destination(tmp_path) as bongsu:
        words = bongsu.words("openmetrics", str(dump), "--batch", "200")
        process = subprocess.Popen(
            words, env=bongsu.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        wait_for(lambda: state.exists() and json.loads(state.read_text())["position"], "a part of the import")
        bongsu.part.kill()
        time.sleep(1)
        bongsu.part.start()
        told, _ = process.communicate(timeout=90)
        assert process.returncode == 0, told
        assert "60,000 samples read, 60,000 stored" in told
