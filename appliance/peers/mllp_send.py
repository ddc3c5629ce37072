"""An HL7 sender on python-hl7.

usage: mllp_send.py HOST PORT SECONDS

Reads messages from standard input, one to a line, in base64. Each is sent as a block on one
connection, which is made again after a failure. One line answers each: the message and its
acknowledgment, both in base64, or "-" and what went wrong. SECONDS is how long it waits for an acknowledgment.
"""

import asyncio
import base64
import sys

from hl7.mllp import open_hl7_connection

CAP = 64 << 20  # bytes of an acknowledgment


async def main():
    host, port, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    reader = writer = None
    for line in sys.stdin:
        message = base64.b64decode(line)
        try:
            if writer is None:
                reader, writer = await open_hl7_connection(host, port, limit=CAP)
            writer.writeblock(message)
            await writer.drain()
            ack = await asyncio.wait_for(reader.readblock(), seconds)
            answer = f"{line.strip()} {base64.b64encode(ack).decode()}"
        except Exception as e:  # the receiver does not take it; the tests count with it
            answer = f"- {type(e).__name__}"
            if writer is not None:
                writer.close()
            writer = None
        print(answer, flush=True)


asyncio.run(main())
