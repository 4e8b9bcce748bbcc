"""What plugins get: startplugin.json, barcodes.json and the files around them."""
