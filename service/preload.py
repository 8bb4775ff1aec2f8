"""What the small server process that starts others loads first: signals sent to the whole group are not for it.

They wait, blocked, also in every process it starts, until that has said what it does about them. So none of them is
ended by a signal that comes in its first milliseconds, and none is missed.
"""

import signal

if hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
