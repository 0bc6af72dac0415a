"""Launches what it is told to through the real driver of Zuul: a request a line, an answer a line, both in JSON."""
import json
import os
import subprocess
import sys

first = json.loads(sys.stdin.readline())
# (Python may have set a locale of its own)
os.environ.clear()
os.environ.update(first['env'])
sys.path.insert(0, first['zuul'])

from zuul.driver.bubblewrap import BubblewrapDriver  # noqa: E402


def launch(driver, request):
    context = driver.getExecutionContext(request['ro'], request['rw'], dict(request['secrets']))
    popen = context.getPopen(**request['popen'])
    process = popen(request['args'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    cwd=request['cwd'], env=request['env'], start_new_session=True)
    out, err = process.communicate()
    return {'returncode': process.returncode,
            'stdout': out.decode(errors='replace'), 'stderr': err.decode(errors='replace')}


driver = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        driver = driver or BubblewrapDriver()
        if 'args' in request:
            answer = launch(driver, request)
        else:
            answer = {'checked': request['check'] and driver.check()}
    except Exception as error:
        answer = {'raised': '%s: %s' % (type(error).__name__, error)}
    print(json.dumps(answer), flush=True)
