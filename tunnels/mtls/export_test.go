package mtls

import "cordon/tunnels/tcp"

// Resumed tells whether the handshake resumed an earlier session.
func (c *Conn) Resumed() bool { return c.tls.ConnectionState().DidResume }

// Socket is the connection beneath TLS.
func (c *Conn) Socket() *tcp.Conn { return c.rec.Conn }

// Seal makes the record of a Write without sending it.
func (c *Conn) Seal(b []byte) []byte {
	c.rec.begin(maxPlaintext + 1) // so that the first of two is gathered
	if _, err := c.tls.Write(b); err != nil {
		panic(err)
	}
	sealed := append([]byte(nil), c.rec.out[:c.rec.filled]...)
	c.rec.filled = 0
	c.rec.end()
	return sealed
}

// Buffers is how many buffers the connection holds.
func (c *Conn) Buffers() (n int) {
	if c.rec.in != nil {
		n++
	}
	if c.rec.out != nil {
		n++
	}
	return n
}
