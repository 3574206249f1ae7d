// Suite of compatibility tests with franz-go. This file: the register of tests, their bounds, and what they assert with.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"
)

var bootstrap = func() string {
	if s := os.Getenv("BOOTSTRAP_SERVERS"); s != "" {
		return s
	}
	return "localhost:9092"
}()

// The shortest session that Kafka's default group.min.session.timeout.ms allows.
const session = 6 * time.Second

type testCase struct {
	name  string
	limit time.Duration
	run   func(*T)
}

var tests []testCase

func test(name string, run func(*T)) { slow(name, 30*time.Second, run) }

func slow(name string, limit time.Duration, run func(*T)) {
	tests = append(tests, testCase{name, limit, run})
}

// T is one running test. Failing panics, so a test reads as a list of statements.
type T struct {
	ctx     context.Context
	cleanup []func()
	mu      sync.Mutex
}

type failure string

func (t *T) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (t *T) ok(err error, what string) {
	if err != nil {
		t.fail("%s: %v", what, err)
	}
}

func (t *T) eq(got, want any, what string) {
	if !reflect.DeepEqual(got, want) {
		t.fail("%s: got %s, want %s", what, short(got), short(want))
	}
}

func (t *T) check(condition bool, what string) {
	if !condition {
		t.fail("%s", what)
	}
}

// is asserts that err wraps want.
func (t *T) is(err, want error, what string) {
	if err == nil || !errorsIs(err, want) {
		t.fail("%s: got %v, want %v", what, err, want)
	}
}

func (t *T) defers(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanup = append(t.cleanup, f)
}

// until asks until the answer is true. The wait between questions is a poll, never the result.
func (t *T) until(what string, question func() bool) { t.untilFor(20*time.Second, what, question) }

func (t *T) untilFor(limit time.Duration, what string, question func() bool) {
	deadline := time.Now().Add(limit)
	for !question() {
		if time.Now().After(deadline) {
			t.fail("after %v still not: %s", limit, what)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

func short(v any) string {
	s := fmt.Sprintf("%+v", v)
	if len(s) > 240 {
		return s[:200] + "…"
	}
	return s
}

func fresh(label string) string {
	b := make([]byte, 5)
	rand.Read(b)
	return label + "-" + hex.EncodeToString(b)
}

// child starts this program once more, for members that are to be killed, and returns when it said "joined".
func (t *T) child(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], append([]string{"--child"}, args...)...)
	out, err := c.StdoutPipe()
	t.ok(err, "pipe")
	t.ok(c.Start(), "start")
	t.defers(func() { c.Process.Kill(); c.Wait() })
	said := make(chan string, 1)
	go func() {
		b := make([]byte, 64)
		n, _ := out.Read(b)
		said <- string(b[:n])
	}()
	select {
	case s := <-said:
		t.check(strings.HasPrefix(s, "joined"), "the other member ended")
	case <-time.After(20 * time.Second):
		t.fail("the other member did not join within 20 s")
	}
	return c
}

func run(c testCase) (reason string) {
	ctx, cancel := context.WithTimeout(context.Background(), c.limit)
	defer cancel()
	t := &T{ctx: ctx}
	done := make(chan string, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- strings.Join(strings.Fields(fmt.Sprint(p)), " ")
				return
			}
			done <- ""
		}()
		c.run(t)
	}()
	select {
	case reason = <-done:
	case <-ctx.Done():
		reason = fmt.Sprintf("timed out after %v", c.limit)
	}
	t.mu.Lock()
	closers := t.cleanup
	t.mu.Unlock()
	go func() {
		for i := len(closers) - 1; i >= 0; i-- {
			closers[i]()
		}
	}()
	return reason
}

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--child" {
		die(args[1], args[2])
		return
	}
	if len(args) == 1 && args[0] == "--list" {
		for _, c := range tests {
			fmt.Println(c.name)
		}
		return
	}
	var chosen []testCase
	for _, c := range tests {
		keep := len(args) == 0
		for _, a := range args {
			keep = keep || strings.Contains(c.name, a)
		}
		if keep {
			chosen = append(chosen, c)
		}
	}
	sort.SliceStable(chosen, func(a, b int) bool { return chosen[a].limit > chosen[b].limit })
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		failed bool
		slots  = make(chan struct{}, 6)
	)
	for _, c := range chosen {
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer func() { <-slots; wg.Done() }()
			begun := time.Now()
			reason := run(c)
			mu.Lock()
			defer mu.Unlock()
			if reason == "" {
				fmt.Println("ok", c.name)
			} else {
				failed = true
				fmt.Printf("not ok %s: %.320s\n", c.name, reason)
			}
			if os.Getenv("COMPAT_TIMES") != "" {
				fmt.Printf("# %s took %.1f s\n", c.name, time.Since(begun).Seconds())
			}
		}()
	}
	wg.Wait()
	if failed {
		os.Exit(1)
	}
}
