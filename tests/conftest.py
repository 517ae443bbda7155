"""What holds for every test."""

import asyncio

# pytest-asyncio looks for a current event loop before it sets its own; Python 3.11 would make one there that nobody
# closes, and its ResourceWarning would fail whichever test happens to be running.
asyncio.set_event_loop(None)
