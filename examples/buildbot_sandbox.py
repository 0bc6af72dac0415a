"""A plugin for Buildbot's worker: each command of a step runs in a sandbox, made by the example `buildbot_step`.

In the worker's buildbot.tac, with this file on its PYTHONPATH:

    import buildbot_sandbox
    buildbot_sandbox.install('/usr/local/bin/buildbot_step')

The master needs nothing for it. A command that fails is a FAILURE, one for which there was no sandbox an EXCEPTION, with the reason and
what to change; cancelling and timeouts end the sandbox with all that runs in it. The variables of a step (`env`) are inside, those of the
worker are not.

The master is trusted: steps such as FileDownload and FileUpload are done by the worker itself, outside of any sandbox, and an upload follows
the links that a job has left.
"""
import os
import tempfile

from buildbot_worker.commands import registry, shell


class SandboxFailed(Exception):
    """The command did not run."""


def install(*program):
    """Has this program, with its first arguments, run the commands of all steps."""

    class SandboxedCommand(shell.WorkerShellCommand):
        def start(self):
            command = self.args['command']
            words = command if isinstance(command, list) else ['/bin/sh', '-c', command]
            told = tempfile.NamedTemporaryFile(prefix='sandbox-failed.')
            # the values are in its environment, where nobody else sees them
            named = [word for name in self.args.get('env') or {} for word in ('--env', name)]
            self.args['command'] = [*program, '--work', os.path.abspath(self.protocol_command.basedir), '--failed', told.name, *named, '--', *words]
            done = super().start()
            done.addBoth(self.judge, told)
            return done

        @staticmethod
        def judge(result, told):
            with told:
                why = told.read().decode(errors='replace')
            if why:
                raise SandboxFailed(why)
            return result

    registry.commandRegistry['shell'] = SandboxedCommand
