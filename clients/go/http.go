package keyferry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// HTTPOptions is how a store is reached.
type HTTPOptions struct {
	// Endpoints are base addresses, one a member: `http://127.0.0.1:2379`.
	Endpoints []string
	// Client carries TLS and proxies. Default: one with no more than Timeout for a request.
	Client *http.Client
	// Timeout of one request. Default 5 s: keep it well below the client's RequestLife.
	Timeout time.Duration
	// Authorize adds what the server wants to see. Default: nothing.
	Authorize func(*http.Request)
}

// endpoints sends requests to one member until it fails, and then to the next. A write is sent once: it may have happened.
type endpoints struct {
	options HTTPOptions
	mutex   sync.Mutex
	at      int
}

func newEndpoints(options HTTPOptions) *endpoints {
	options.Timeout = orDefault(options.Timeout, 5*time.Second)
	if options.Client == nil {
		// Redirects are for people: etcd v2 answers with one where a key is no path of its own.
		noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		options.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, CheckRedirect: noRedirect}
	}
	return &endpoints{options: options}
}

type reply struct {
	status int
	body   []byte
}

func (e *endpoints) read(ctx context.Context, method, path, contentType string, body []byte) (reply, error) {
	var found reply
	var err error
	for range e.options.Endpoints {
		if found, err = e.send(ctx, method, path, contentType, body); err == nil && found.status < 500 {
			return found, nil
		}
		if err == nil {
			err = fmt.Errorf("%s answered %d: %s", path, found.status, strings.TrimSpace(string(found.body)))
		}
	}
	return reply{}, err
}

func (e *endpoints) send(ctx context.Context, method, path, contentType string, body []byte) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, e.options.Timeout)
	defer cancel()
	e.mutex.Lock()
	at := e.at
	e.mutex.Unlock()
	address := e.options.Endpoints[at%len(e.options.Endpoints)] + path
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if e.options.Authorize != nil {
		e.options.Authorize(request)
	}
	answered, err := e.exchange(request)
	if err != nil || answered.status >= 500 {
		e.goOn(at)
	}
	return answered, err
}

func (e *endpoints) exchange(request *http.Request) (reply, error) {
	response, err := e.options.Client.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, body}, err
}

func (e *endpoints) goOn(from int) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	if e.at == from {
		e.at++
	}
}
