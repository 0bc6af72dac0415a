"""Runs inside: prints all that it can see, as JSON."""
import hashlib
import json
import os
import resource
import socket
import stat
import struct
import sys


def read(path):
    try:
        with open(path, errors='replace') as file:
            return file.read()
    except OSError as error:
        return 'error: %s' % error.strerror


def entry(path):
    status = os.lstat(path)
    seen = {'mode': oct(status.st_mode), 'uid': status.st_uid, 'gid': status.st_gid}
    if stat.S_ISLNK(status.st_mode):
        seen['target'] = os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        try:
            with open(path, 'rb') as file:
                seen['content'] = hashlib.sha256(file.read()).hexdigest()
        except OSError as error:
            seen['content'] = error.strerror
    if stat.S_ISDIR(status.st_mode):
        try:
            probe = os.path.join(path, '.probe')
            with open(probe, 'w'):
                pass
            os.unlink(probe)
            seen['writable'] = True
        except OSError as error:
            seen['writable'] = error.strerror
    return seen


def tree(top):
    seen = {top: entry(top)} if os.path.lexists(top) else {}
    for directory, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(directory, name)
            seen[path] = entry(path)
    return seen


def mounts():
    seen = []
    for line in read('/proc/self/mountinfo').splitlines():
        before, after = line.split(' - ')
        before, after = before.split(' '), after.split(' ')
        seen.append({'id': before[0], 'parent': before[1], 'root': before[3], 'point': before[4],
                     'options': before[5:], 'type': after[0], 'source': after[1], 'super': after[2:]})
    # who is mounted on whom, whatever numbers the kernel gave them
    ids = [mount.pop('id') for mount in seen]
    points = [mount['point'] for mount in seen]
    for mount in seen:
        parent = mount.pop('parent')
        if parent in ids:
            index = ids.index(parent)
            mount['on'] = [points[index], points[:index].count(points[index])]
    return seen


def agent(path):
    if not path:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(struct.pack('>IB', 1, 11))
            return struct.unpack('>IB', client.recv(5))
    except OSError as error:
        return error.strerror


def namespace_errno():
    child = os.fork()
    if child == 0:
        try:
            import ctypes
            library = ctypes.CDLL(None, use_errno=True)
            os._exit(0 if library.unshare(0x10000000) == 0 else ctypes.get_errno())
        except BaseException:
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def descriptors():
    seen = {}
    for number in os.listdir('/proc/self/fd'):
        try:
            seen[number] = os.readlink('/proc/self/fd/' + number).split('[')[0]
        except OSError:
            pass  # the one that lists them
    return seen


# three things are asked for: the job's directory, the agent's socket, the host's namespaces
job, socket_path, host = json.loads(sys.argv[1])
# before it opens anything
open_descriptors = descriptors()
status = dict(line.split(':\t', 1) for line in read('/proc/self/status').splitlines() if ':\t' in line)
wanted = ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'SigBlk', 'SigIgn', 'SigCgt', 'Groups',
          'NSpid', 'Umask', 'Cpus_allowed', 'THP_enabled', 'Speculation_Store_Bypass')
print(json.dumps({
    'ids': [os.getresuid(), os.getresgid(), os.getgroups(), os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0)],
    'status': {name: status.get(name) for name in wanted},
    'maps': [read('/proc/self/' + name) for name in ('uid_map', 'gid_map', 'setgroups')],
    'user namespaces': [read('/proc/sys/user/max_user_namespaces'), namespace_errno()],
    'namespaces of the host': sorted(name for name, link in host.items() if os.readlink('/proc/self/ns/' + name) == link),
    'limits': {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith('RLIMIT_')},
    'scheduling': [os.nice(0), os.sched_getscheduler(0), read('/proc/self/oom_score_adj')],
    'host name': socket.gethostname(),
    'processes': {pid: read('/proc/%s/comm' % pid) for pid in os.listdir('/proc') if pid.isdigit()},
    'passwd': read('/etc/passwd'),
    'group': read('/etc/group'),
    'top': {path: entry(path) for path in ['/'] + ['/' + name for name in os.listdir('/')]},
    'files': {path: entry for top in ('/etc', '/run', '/var', '/tmp', job) for path, entry in tree(top).items()},
    'devices': {path: entry['mode'] for path, entry in tree('/dev').items()},
    'network': sorted(line.split(':')[0].strip() for line in read('/proc/self/net/dev').splitlines()[2:]),
    'agent': agent(socket_path),
    'environment': dict(os.environ),
    'directory': os.getcwd(),
    'descriptors': open_descriptors,
    'control groups': read('/proc/self/cgroup'),
    'mounts': mounts(),
}))
