package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signet-id/signet/configs"
)

// serveMetrics opens the separate listener for metrics. If the default address is in use, the
// server starts without metrics; a configured address that is in use fails the start.
func serveMetrics(c configs.Config, m *metrics, log *slog.Logger) (closeListener func(), err error) {
	if c.Metrics.Listen == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", c.Metrics.Listen)
	if errors.Is(err, syscall.EADDRINUSE) && c.Source("metrics.listen") == "" {
		log.Warn("no metrics: the default address is in use by another program; set metrics.listen to another address, or to the empty text to turn metrics off", "listen", c.Metrics.Listen)
		return func() {}, nil
	}
	if err != nil {
		return nil, listenError("metrics.listen", c.Metrics.Listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 5 * time.Second,
	}))
	server := &http.Server{
		Handler: mux, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	log.Info("serving metrics", "listen", listener.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
	}, nil
}
