package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the expectations and docs/reference/config.md")

// TestFiles reads testdata/*.txtar: a weir.yaml, and what it resolves to or the error.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := outcome(t, archive.Files[0].Data)
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// outcome is the resolved configuration without what equals the default, or the error.
func outcome(t *testing.T, text []byte) string {
	f, err := Parse("weir.yaml", text)
	if err == nil {
		f.resolve("/etc/weir")
		err = f.Validate()
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%T is not an *Error", err)
		}
		return err.Error() + "\n"
	}
	return unlike(f.Config)
}

// unlike writes the keys of c whose values differ from the default's, each with its path.
func unlike(c *Config) string {
	want := map[string]string{}
	flatten("", reflect.ValueOf(*Default()), func(key, value string) { want[key] = value })
	var b strings.Builder
	flatten("", reflect.ValueOf(*c), func(key, value string) {
		if old, ok := want[key]; !ok || old != value {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
		delete(want, key)
	})
	for _, key := range sorted(want) {
		fmt.Fprintf(&b, "%s is not there\n", key)
	}
	return b.String()
}

// flatten gives each key under v and its value as text.
func flatten(path string, v reflect.Value, give func(key, value string)) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			flatten(strings.TrimPrefix(path+"."+v.Type().Field(i).Tag.Get("yaml"), "."), v.Field(i), give)
		}
	case reflect.Map:
		entries := map[string]reflect.Value{}
		for it := v.MapRange(); it.Next(); {
			entries[it.Key().String()] = it.Value()
		}
		for _, name := range sorted(entries) {
			flatten(path+"."+name, entries[name], give)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			give(path, "is there")
			flatten(path, v.Elem(), give)
		}
	case reflect.String:
		if v.String() == "" {
			give(path, `""`)
		} else {
			give(path, v.String())
		}
	default:
		give(path, strings.Trim(fmt.Sprint(v), "[]"))
	}
}

func TestDefaultIsValid(t *testing.T) {
	if err := Empty().Validate(); err != nil {
		t.Error(err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "weir.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("data: d\nlog: file:l\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "d"); f.Data != want {
		t.Errorf("data is %s, want %s", f.Data, want)
	}
	if want := "file:" + filepath.Join(dir, "l"); f.Log.URL != want {
		t.Errorf("log is %s, want %s", f.Log.URL, want)
	}
	if !f.Has("data") || f.Has("api.token") {
		t.Error("Has is wrong about what the file names")
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
		back string
	}{
		{"0", 0, "0"}, {"1B", 1, "1B"}, {"64MB", 64 << 20, "64MB"}, {"64 mb", 64 << 20, "64MB"},
		{"1024KB", 1 << 20, "1MB"}, {"1MiB", 1 << 20, "1MB"}, {"1536KB", 1536 << 10, "1536KB"}, {"8388607TB", 8388607 << 40, "8388607TB"},
	} {
		got, err := ParseSize(c.text)
		if err != nil || got != c.want || got.String() != c.back {
			t.Errorf("ParseSize(%q) = %d (%s), %v", c.text, got, got, err)
		}
	}
	for _, bad := range []string{"", "64", "MB", "-1KB", "1.5GB", "8388608TB", "IB", "1 IB", "9999999999999999999999GB", "1XB"} {
		if got, err := ParseSize(bad); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", bad, got)
		}
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.0.1:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false,
		"localhost.example.com:1": false, "127.0.0.1": false, "127.0.0.1.example.com:80": false,
	} {
		if Loopback(address) != want {
			t.Errorf("Loopback(%q) = %v", address, !want)
		}
	}
}

// FuzzParse: any text gives a configuration or an *Error.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txtar")
	for _, file := range files {
		if archive, err := txtar.ParseFile(file); err == nil {
			f.Add(archive.Files[0].Data)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse("weir.yaml", text)
		if err == nil {
			err = file.Validate()
		}
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("%T is not an *Error: %v", err, err)
		}
	})
}
