"""A terminal for the tests to run commands on."""
import fcntl
import os
import pty
import struct
import subprocess
import termios


def run_on_terminal(command, stream, columns, **options):
    """The exit code of the command, and what a terminal of so many columns was sent of its stdout or stderr."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(command, **{stream: theirs}, **options)
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 65536):
            sent += part
    except OSError:  # Linux's end of file
        pass
    os.close(ours)
    return process.wait(timeout=60), sent.decode().replace("\r\n", "\n")
