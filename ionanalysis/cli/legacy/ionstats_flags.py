"""Every option of the original `ionstats` (basecaller.md 11.2 to 11.4) and what it does here, by subcommand."""

from ionanalysis.cli.legacy.flags import FlagTable

_INPUT = ("input i", "texts", "@input BAM files")
_THREADS = ("n-threads", "int", "! statistics are counted in one thread; the numbers do not depend on it")

IONSTATS_FLAGS = {
    "basecaller": FlagTable(
        [
            ("help", "flag", "@help print this and leave"),
            _INPUT,
            ("output o", "text", "@output file to make [ionstats_basecaller.json]"),
            ("histogram-length h", "int", "@n_bins length of histograms, bases [as the flows allow]"),
            ("key k", "text", "@key bases in front of the reads [TCAG]"),
            ("barcodes b", "text", "! read groups tell barcodes"),
            ("outputs d", "text", "! one file is made for all inputs"),
        ]
    ),
    "alignment": FlagTable(
        [
            ("help", "flag", "@help print this and leave"),
            _INPUT,
            ("output o", "text", "@output file to make [ionstats_alignment.json]"),
            ("output-h5", "text", "@summary file of error counts to make, HDF5"),
            ("output-bam", "text", "@copy BAM file that gets all reads as they come, - for stdout"),
            ("output-bam-buffer-size", "int", "! reads are passed on as they come"),
            ("output-bam-compress", "bool", "@compress deflate what --output-bam names [off]"),
            ("skip-rg-suffix", "text", "="),
            ("min-map-qual", "int", "="),
            ("max-map-qual", "int", "="),
            ("histogram-length h", "int", "="),
            ("n-flow", "int", "="),
            ("minimum-aq-length m", "int", "="),
            ("bc-adjust b", "bool", "="),
            ("aq-error-rates a", "floats", "="),
            ("evaluate-flow", "bool", "="),
            ("evaluate-hp", "bool", "! always evaluated"),
            ("ignore-terminal-hp", "bool", "! runs at the ends of a read never count"),
            ("max-hp", "int", "="),
            ("max-subregion-hp", "int", "! homopolymers are not told by region"),
            ("chip-origin", "ints2", "="),
            ("chip-dim", "ints2", "="),
            ("subregion-dim", "ints2", "="),
            _THREADS,
        ]
    ),
    "tf": FlagTable(
        [
            ("help", "flag", "@help print this and leave"),
            _INPUT,
            ("ref r", "text", "@reference FASTA file of the test fragments"),
            ("output o", "text", "@output file to make [ionstats_tf.json]"),
            ("histogram-length h", "int", "@n_bins length of histograms, bases [as the flows allow]"),
            ("key k", "text", "@key bases in front of the reads [ATCG]"),
            ("threshold t", "int", "@least_reads reads that a fragment must have [500]"),
        ]
    ),
    "reduce": FlagTable(
        [
            ("help", "flag", "@help print this and leave"),
            ("output o", "text", "@output file to make"),
        ]
    ),
    "reduce-h5": FlagTable(
        [
            ("help", "flag", "@help print this and leave"),
            ("output o", "text", "@output file to make"),
            ("merge-blocks b", "bool", "@by_group keep the counts of read groups [on]"),
        ]
    ),
}
