"""An HL7 receiver on python-hl7.

usage: mllp_receive.py PORT

Acknowledges each message that python-hl7 can parse with the acknowledgment that it makes, and
closes the connection on one that it cannot. Prints a line for each: the message and its
acknowledgment, both in base64.
"""

import asyncio
import base64
import sys

import hl7
from hl7.mllp import start_hl7_server

CAP = 64 << 20  # bytes of a message


async def serve(reader, writer):
    try:
        while True:
            message = await reader.readblock()
            # One byte, one character: nothing is altered, whatever MSH-18 says.
            ack = str(hl7.parse(message.decode("latin-1")).create_ack()).encode("latin-1")
            print(base64.b64encode(message).decode(), base64.b64encode(ack).decode(), flush=True)
            writer.writeblock(ack)
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass  # the sender is done
    except Exception as e:  # it cannot be parsed
        print(f"mllp_receive: {type(e).__name__}", file=sys.stderr, flush=True)
    finally:
        writer.close()


async def main():
    server = await start_hl7_server(serve, host="127.0.0.1", port=int(sys.argv[1]), limit=CAP)
    async with server:
        await server.serve_forever()


asyncio.run(main())
