package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ipsecdiag/analyze"
)

// Address returns where to listen for what a user gave: a port alone is one of
// the loopback interface.
func Address(text string) (string, error) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return "", fmt.Errorf("metrics on %q: a port, or ADDRESS:PORT: %w", text, err)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || port == "" || n == 0 && port != "0" {
		return "", fmt.Errorf("metrics on %q: %q is no port", text, port)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// Server answers Prometheus.
type Server struct {
	listener net.Listener
	http     *http.Server
	closing  chan struct{}
	done     chan error
}

// Serve listens at an address as Address gives it, and answers from a collector
// until Close. Who asks is taken no notice of, and no byte of it read, before ready
// is closed.
func Serve(address string, c prometheus.Collector, version string, ready <-chan struct{}) (*Server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s := &Server{listener: l, closing: make(chan struct{}), done: make(chan error, 1)}
	// What strangers' connections come to is nobody's to read.
	s.http = &http.Server{
		Handler: handler(c, version), ErrorLog: log.New(io.Discard, "", 0),
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() {
		select {
		case <-ready:
		case <-s.closing:
		}
		s.done <- s.http.Serve(l)
	}()
	return s, nil
}

// Addr returns where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends it, after a moment for answers that are under way. It is called once.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close()
	}
	close(s.closing)
	if err := <-s.done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// handler serves /metrics. Two may be asked for at once: each looks through all
// pairs.
func handler(c prometheus.Collector, version string) http.Handler {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ipsecdiag_build_info", Help: "Always 1; the version is in the label.",
		ConstLabels: prometheus.Labels{"version": valid([]string{version})[0]},
	})
	build.Set(1)
	registry.MustRegister(c, build)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ipsecdiag: /metrics has what Prometheus wants")
	})
	return mux
}

// valid makes labels what Prometheus accepts, UTF-8, and what may be shown: they may
// be captured.
func valid(labels []string) []string {
	for i, l := range labels {
		labels[i] = analyze.Printable(l)
	}
	return labels
}
