"""The client of the documentation: a length, a message, an answer."""
import socket, struct, sys

with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    message = sys.stdin.buffer.read()
    s.sendall(struct.pack("<I", len(message)) + message)
    length = struct.unpack("<I", s.recv(4, socket.MSG_WAITALL))[0]
    sys.stdout.buffer.write(s.recv(length, socket.MSG_WAITALL))
