package e2e

import "testing"

// TestScriptsAreTheArticle needs no SDK: it runs everywhere.
func TestScriptsAreTheArticle(t *testing.T) {
	for _, name := range []string{"python/article_device.py", "python/article_gateway.py", "python/article_status.py"} {
		sameAsArticle(t, name)
	}
}
