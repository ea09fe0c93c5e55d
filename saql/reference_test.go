package saql_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weir-iot/weir/saql"
)

var docs = flag.String("docs", "", "folder of the reference pages whose SQL blocks must parse")

// wrongBlocks lists the blocks of the reference that are no SQL, by page and
// the text that they begin with, and why.
var wrongBlocks = []struct{ page, begins, reason string }{}

// TestReferencePages parses each SQL block of the language reference: scripts,
// expressions, and WITH clauses whose query is in a later block.
func TestReferencePages(t *testing.T) {
	if *docs == "" {
		t.Log("without -docs there are no pages to read")
		return
	}
	pages, err := filepath.Glob(filepath.Join(*docs, "*.md"))
	if err != nil || len(pages) < 100 {
		t.Fatalf("%d pages in %s: %v", len(pages), *docs, err)
	}
	parsed, used := 0, make([]bool, len(wrongBlocks))
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range sqlBlocks(string(text)) {
			err := parseBlock(block)
			i := wrongBlock(filepath.Base(page), block)
			switch {
			case err == nil && i < 0:
				parsed++
			case err != nil && i >= 0:
				used[i] = true
			case err == nil:
				t.Errorf("%s: parses though it is listed as wrong (%s):\n%s", page, wrongBlocks[i].reason, block)
			default:
				t.Errorf("%s: %v\n%s", page, err, block)
			}
		}
	}
	for i, u := range used {
		if !u {
			t.Errorf("no block of %s begins with %q", wrongBlocks[i].page, wrongBlocks[i].begins)
		}
	}
	t.Logf("%d blocks parse, %d are listed as wrong", parsed, len(wrongBlocks))
}

var fence = regexp.MustCompile("(?is)```[ \t]*sql[ \t]*\r?\n(.*?)```")

func sqlBlocks(page string) []string {
	var blocks []string
	for _, m := range fence.FindAllStringSubmatch(page, -1) {
		blocks = append(blocks, strings.TrimSpace(m[1]))
	}
	return blocks
}

func parseBlock(block string) error {
	s, err := saql.Parse(block)
	if err == nil {
		return errors.Join(saql.Check(s, saql.Env{})...)
	}
	if _, e := saql.ParseExpr(block); e == nil {
		return nil
	}
	if _, e := saql.Parse(block + "\nSELECT * FROM x"); e == nil {
		return nil
	}
	return err
}

func wrongBlock(page, block string) int {
	for i, w := range wrongBlocks {
		if w.page == page && strings.HasPrefix(block, w.begins) {
			return i
		}
	}
	return -1
}
