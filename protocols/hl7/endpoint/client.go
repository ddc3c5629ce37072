package endpoint

import (
	"errors"
	"fmt"
	"io"

	"cordon/protocols/hl7"
)

// ErrNoAcknowledgment says that the connection ended before the message was acknowledged, so the
// message is to be sent again.
var ErrNoAcknowledgment = errors.New("connection closed without an acknowledgment")

// Client sends messages over one connection, each after the acknowledgment of the one before.
// Its memory is reused. It is for one goroutine.
type Client struct {
	rw   io.ReadWriteCloser
	in   blocks
	out  []byte
	sent hl7.Message
	ack  hl7.Message
}

// NewClient returns a client that owns rw.
func NewClient(rw io.ReadWriteCloser) *Client {
	return &Client{rw: rw, in: blocks{r: rw}}
}

// Send sends message and returns its acknowledgment, which lives until the next Send. An
// acknowledgment of another message is an error.
func (c *Client) Send(message []byte) (ack []byte, err error) {
	c.out = hl7.AppendBlock(c.out[:0], message)
	if _, err := c.rw.Write(c.out); err != nil {
		return nil, fmt.Errorf("send message: %w", err)
	}
	ack, err = c.in.next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, ErrNoAcknowledgment
	case err != nil:
		return nil, fmt.Errorf("receive acknowledgment: %w", err)
	}
	if err := c.sent.Parse(message); err != nil {
		return ack, nil // sent as it is; there is no control ID to compare
	}
	if err := c.ack.Parse(ack); err != nil {
		return ack, fmt.Errorf("read acknowledgment: %w", err)
	}
	if string(c.ack.AckedID) != string(c.sent.ControlID) {
		return ack, errors.New("read acknowledgment: it answers another message (MSA-2 is not the MSH-10 sent)")
	}
	return ack, nil
}

// Close closes the connection.
func (c *Client) Close() error { return c.rw.Close() }

// Send sends one message over rw and returns its acknowledgment. rw stays open.
func Send(rw io.ReadWriteCloser, message []byte) (ack []byte, err error) {
	return NewClient(rw).Send(message)
}
