"""Launches `true` through the real driver of Zuul when it is told to, and says how many seconds that took."""
import json
import subprocess
import sys
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
for _ in sys.stdin:
    start = time.perf_counter()
    context = driver.getExecutionContext()
    popen = context.getPopen(work_dir=first['work'], home_dir=first['home'])
    process = popen(['/usr/bin/true'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    cwd=first['work'], env={}, start_new_session=True)
    process.communicate()
    took = time.perf_counter() - start
    assert process.returncode == 0, process.returncode
    print(took, flush=True)
