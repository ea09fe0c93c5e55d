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

var docs = flag.String("docs", "", "folder of the reference pages whose SQL blocks must be valid")

// refusedBlocks lists the blocks of the reference's examples that give an
// error, by page and what the error says, and why that is right.
var refusedBlocks = []struct{ page, says, reason string }{
	{"anomalydetection-changepoint-azure-stream-analytics.md", `unexpected "AnomalyDetection_ChangePoint"`, "two calls without a query"},
	{"lag-azure-stream-analytics.md", `unexpected "LAG"`, "two calls without a query"},
	{"join-azure-stream-analytics.md", `unexpected "BETWEEEN"`, "misspelt"},
	{"replicate-azure-stream-analytics.md", `unexpected "AS", expected "," or ")"`, "a parenthesis is missing"},
	{"union-azure-stream-analytics.md", `unexpected "SELET", expected SELECT`, "misspelt"},
	{"with-azure-stream-analytics.md", "unknown column AvgNormalReadings: did you mean AvgNormalReading?", "misspelt"},
	{"select-azure-stream-analytics.md", "unexpected [ WITH <Result_Set_name>]", "a template of syntax"},
	{"match-recognize-stream-analytics.md", "MATCH_RECOGNIZE is not supported", "not supported"},
	{"match-recognize-stream-analytics.md", `unexpected character '?'`, "a part of MATCH_RECOGNIZE"},
	{"match-recognize-stream-analytics.md", `unexpected "DEFINE"`, "a part of MATCH_RECOGNIZE"},
	{"match-recognize-stream-analytics.md", `unexpected "."`, "a part of MATCH_RECOGNIZE"},
	{"createlinestring.md", "CreateLineString is not supported", "not supported"},
	{"createpoint.md", "CreatePoint is not supported", "not supported"},
	{"createpolygon.md", "CreatePolygon is not supported", "not supported"},
	{"st-distance.md", "ST_DISTANCE is not supported", "not supported"},
	{"st-intersects.md", "ST_INTERSECTS is not supported", "not supported"},
	{"st-overlaps.md", "ST_OVERLAPS is not supported", "not supported"},
	{"st-within.md", "ST_WITHIN is not supported", "not supported"},
}

// TestReferencePages reads each SQL block of the language reference: scripts,
// which are checked too, expressions, and WITH clauses whose query is in a later
// block. Blocks below a heading Syntax are templates such as [ OVER … ]: they may
// fail.
func TestReferencePages(t *testing.T) {
	if *docs == "" {
		t.Log("without -docs there are no pages to read")
		return
	}
	pages, err := filepath.Glob(filepath.Join(*docs, "*.md"))
	if err != nil || len(pages) < 100 {
		t.Fatalf("%d pages in %s: %v", len(pages), *docs, err)
	}
	valid, templates, used := 0, 0, make([]bool, len(refusedBlocks))
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range sqlBlocks(string(text)) {
			err := readBlock(block.sql)
			i := refused(filepath.Base(page), err)
			switch {
			case err == nil:
				valid++
			case i >= 0:
				used[i] = true
			case block.template:
				templates++
			default:
				t.Errorf("%s: %v\n%s", page, err, block.sql)
			}
		}
	}
	for i, u := range used {
		if !u {
			t.Errorf("no block of %s fails by %q", refusedBlocks[i].page, refusedBlocks[i].says)
		}
	}
	t.Logf("%d blocks are valid, %d are templates of syntax", valid, templates)
}

type sqlBlock struct {
	sql      string
	template bool
}

var headingOrBlock = regexp.MustCompile("(?ims)^ *#+ *([^\n]*)$|```[ \t]*sql[ \t]*\r?\n(.*?)```")

func sqlBlocks(page string) []sqlBlock {
	var blocks []sqlBlock
	heading := ""
	for _, m := range headingOrBlock.FindAllStringSubmatch(page, -1) {
		if m[2] == "" {
			heading = m[1]
			continue
		}
		blocks = append(blocks, sqlBlock{strings.TrimSpace(m[2]), strings.Contains(heading, "Syntax")})
	}
	return blocks
}

func readBlock(sql string) error {
	s, err := saql.Parse(sql)
	if err == nil {
		return errors.Join(saql.Check(s, saql.Env{})...)
	}
	if _, e := saql.ParseExpr(sql); e == nil {
		return nil
	}
	if _, e := saql.Parse(sql + "\nSELECT * FROM x"); e == nil {
		return nil
	}
	return err
}

func refused(page string, err error) int {
	for i, r := range refusedBlocks {
		if err != nil && r.page == page && strings.Contains(err.Error(), r.says) {
			return i
		}
	}
	return -1
}
