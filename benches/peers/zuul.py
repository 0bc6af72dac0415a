"""Launches `true` through the real driver of Zuul when it is told to, and says how many seconds that took."""
import concurrent.futures
import json
import subprocess
import sys
import threading
import time

first = json.loads(sys.stdin.readline())
sys.path.insert(0, first['zuul'])

from zuul.driver.bubblewrap import BubblewrapDriver  # noqa: E402

ballast = bytearray(first['resident'])
for page in range(0, len(ballast), 4096):
    ballast[page] = 1
driver = BubblewrapDriver()
driver.check()
print('ready', flush=True)


def launch():
    context = driver.getExecutionContext()
    popen = context.getPopen(work_dir=first['work'], home_dir=first['home'])
    process = popen(['/usr/bin/true'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    cwd=first['work'], env={}, start_new_session=True)
    process.communicate()
    assert process.returncode == 0, process.returncode


def many(threads, each):
    """How long so many launches take, and the longest time that a thread which ticks was held up meanwhile."""
    longest = 0
    done = threading.Event()

    def tick():
        nonlocal longest
        while not done.is_set():
            start = time.perf_counter()
            time.sleep(0.001)
            bytes(1 << 20)
            longest = max(longest, time.perf_counter() - start - 0.001)

    ticking = threading.Thread(target=tick)
    ticking.start()
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for launched in [pool.submit(launch) for _ in range(threads * each)]:
            launched.result()
    took = time.perf_counter() - start
    done.set()
    ticking.join()
    return took, longest


for line in sys.stdin:
    if line.strip():
        print(*many(*map(int, line.split())), flush=True)
        continue
    start = time.perf_counter()
    launch()
    print(time.perf_counter() - start, flush=True)
