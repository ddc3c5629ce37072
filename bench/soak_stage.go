package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
)

// start starts the sinks and the gateway, and prepares the load.
func (s *soak) start(ctx context.Context, dir string) (err error) {
	if s.pki, err = newPKI(dir); err != nil {
		return err
	}
	if err := s.startSinks(); err != nil {
		return err
	}
	// The load's own end of mutual TLS is read before the gateway's certificates change.
	client, err := s.pki.tlsConfig(clientName, true)
	if err != nil {
		return err
	}
	s.box.watch(client)
	if err := s.startGateway(ctx, dir); err != nil {
		return err
	}
	objects := ctStudy(studyObjects)
	for i := range strands {
		t := &thread{strand: &strands[i], ids: s.ids, load: &Load{Target: Target{Address: strands[i].enter(&s.site)}, Objects: objects}}
		if t.secure {
			t.load.Target.TLS = client
		}
		t.fail = func(err error) { s.problem("%s: %v", t.name, err) }
		s.threads = append(s.threads, t)
	}
	return nil
}

// startSinks starts what stands behind the gateway. Those with TLS watch the certificate that it
// dials with.
func (s *soak) startSinks() error {
	server, err := s.pki.tlsConfig(serverName, true)
	if err != nil {
		return err
	}
	for _, who := range []struct {
		name  string
		shown **sightings
	}{{clientName, &s.device}, {serverName, &s.box}} {
		serial, err := s.pki.issue(who.name)
		if err != nil {
			return err
		}
		*who.shown = newSightings(serial)
	}
	s.device.watch(server)
	messages := func(c net.Conn, t *Tally) error {
		t.ids = s.ids
		return serveHL7(c, t)
	}
	for _, k := range []struct {
		sink  **Sink
		tls   *tls.Config
		serve func(net.Conn, *Tally) error
	}{{&s.lab, server, messages}, {&s.archive, server, serveDICOM}, {&s.near, nil, messages}} {
		if *k.sink, err = NewSink("127.0.0.1:0", k.tls, &Workload{serve: k.serve}); err != nil {
			return err
		}
		s.sinks = append(s.sinks, *k.sink)
	}
	return nil
}

func (s *soak) startGateway(ctx context.Context, dir string) (err error) {
	s.site = site{
		hl7: freeAddress(), dicom: freeAddress(), secure: freeAddress(), http: freeAddress(),
		lab: s.lab.Address(), archive: s.archive.Address(), near: s.near.Address(),
		ca:     s.pki.ca(),
		device: [2]string{s.pki.cert(clientName), s.pki.key(clientName)},
		box:    [2]string{s.pki.cert(serverName), s.pki.key(serverName)},
	}
	if s.site.dir, err = os.MkdirTemp(dir, ""); err != nil {
		return err
	}
	s.process, err = start(ctx, Hop{Program: s.Self, Dir: s.site.dir, Listen: s.site.http}, s.site.form(), nil)
	if err != nil {
		return fmt.Errorf("cordon: %w", err)
	}
	for _, address := range []string{s.site.hl7, s.site.dicom, s.site.secure} {
		if err := s.process.accepts(ctx, address); err != nil {
			return fmt.Errorf("cordon: %w", err)
		}
	}
	s.scraper = newScraper(s.site.http)
	return nil
}

func (s *soak) close() {
	if s.process != nil {
		if err := s.process.stop(); err != nil {
			s.say("stopping cordon: %v", err)
		}
	}
	for _, sink := range s.sinks {
		sink.Close()
	}
}
